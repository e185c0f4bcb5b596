// Runs before the first paint, so that a chosen theme does not flash: light, dark, or as the system has it.
(() => {
  try {
    const chosen = localStorage.getItem('tidemark.theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is shut off; the system's theme it is.
  }
})();
