(() => {
  "use strict";
  const root = document.documentElement;

  // Theme: what the system says, until the reader says otherwise.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");
  const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const label = () => {
    const other = shown() === "dark" ? "light" : "dark";
    toggle.textContent = other === "dark" ? "Dark" : "Light";
    toggle.setAttribute("aria-label", `Show this page in ${other} colours`);
  };
  try {
    const kept = localStorage.getItem("calibkit-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* no storage for this page: the choice is not kept */ }
  toggle.hidden = false;
  label();
  dark.addEventListener("change", label);
  toggle.addEventListener("click", () => {
    root.dataset.theme = shown() === "dark" ? "light" : "dark";
    label();
    try { localStorage.setItem("calibkit-theme", root.dataset.theme); } catch { /* as above */ }
  });

  // Tables: a click on a head sorts by it, another click turns the order round.
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const key = (row, column, number) => {
    const cell = row.cells[column];
    if (!cell) return null;
    const value = cell.dataset.v ?? cell.textContent.trim();
    if (!number) return value === "" ? null : value;
    const parsed = parseFloat(value);
    return Number.isFinite(parsed) ? parsed : null;
  };
  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    const number = table.tHead.rows[0].cells[column].classList.contains("n");
    const keyed = Array.from(body.rows, (row, place) => [key(row, column, number), place, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return a === b ? i - j : a === null ? 1 : -1;
      return direction * (number ? a - b : words.compare(a, b)) || i - j;
    });
    body.append(...keyed.map((one) => one[2]));
    for (const [place, head] of Array.from(table.tHead.rows[0].cells).entries()) {
      if (place === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      if (head.title) button.title = head.title;
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = head.classList.contains("n") ? -1 : 1;
        sort(table, column, before === null ? first : before === "ascending" ? -1 : 1);
      });
    });
  }
})();
