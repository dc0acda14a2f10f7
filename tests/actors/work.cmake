troupe_test(work_tests
  SOURCES
    ${kit}
    budget_test.cpp
    sandbox_test.cpp
    session_agent_test.cpp
    session_permissions_test.cpp
    session_prompts_test.cpp
    session_pure_test.cpp
    task_git_test.cpp
    task_test.cpp
    webhook_test.cpp
    work_page_test.cpp
  LINK troupe_actors troupe_schemas
  LABELS actors)
target_compile_definitions(work_tests PRIVATE TROUPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
