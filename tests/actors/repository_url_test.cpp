#include "actors/organization/repository_url.h"

#include <doctest/doctest.h>

using namespace troupe::actors;

TEST_CASE("addresses over https and ssh, file URLs and absolute paths are taken") {
  for (const auto* url :
       {"https://example.org/acme/widgets.git", "ssh://git@example.org:2222/acme/widgets",
        "git@example.org:acme/widgets.git", "file:///srv/git/widgets", "/srv/git/widgets"}) {
    CHECK_MESSAGE(!url_fault(url), url);
  }
}

TEST_CASE("addresses that run programs, are options, carry credentials or are of another kind are refused") {
  for (const auto* url :
       {"", "ext::sh -c id", "ext::sh", "fd::17", "--upload-pack=id", "-x", "http://example.org/x",
        "git://example.org/x", "https://user:pass@example.org/x", "https://token@example.org/x",
        "ssh://a:b@example.org/x", "ssh://-oProxyCommand=id/x", "git@-oProxyCommand=id:x", "https:///x",
        "file://host/x", "relative/path", "https://example.org/a b", "/srv/a\nb"}) {
    CHECK_MESSAGE(url_fault(url), url);
  }
}

TEST_CASE("a repository is named after the last part of its address") {
  CHECK(repository_name_from("https://example.org/acme/widgets.git") == "widgets");
  CHECK(repository_name_from("git@example.org:widgets.git") == "widgets");
  CHECK(repository_name_from("/srv/git/My Repo/") == "MyRepo");
  CHECK(repository_name_from("/srv/git/widgets/.git") == "widgets");
  CHECK(repository_name_from("/") == "repository");
}
