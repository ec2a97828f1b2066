// The chosen theme, before the first paint; "auto" follows the system. A classic script, so that it runs at once.
(() => {
  const choice = (() => {
    try {
      return localStorage.getItem("nunchi.theme");
    } catch {
      return null;
    }
  })();
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
})();
