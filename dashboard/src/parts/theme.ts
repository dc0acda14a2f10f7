// Dark or light: what the system says unless the person said otherwise in this browser.
const name = "troupe theme";
const themes = ["system", "light", "dark"] as const;
export type Theme = typeof themes[number];

function stored(): Theme {
  try {
    const value = localStorage.getItem(name);
    return themes.find(theme => theme === value) ?? "system";
  } catch {
    return "system";
  }
}

export function applyTheme(theme: Theme = stored()): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function nextTheme(): void {
  const theme = themes[(themes.indexOf(stored()) + 1) % themes.length]!;
  try {
    localStorage.setItem(name, theme);
  } catch {
    // A browser that stores nothing forgets it with the page.
  }
  applyTheme(theme);
}
