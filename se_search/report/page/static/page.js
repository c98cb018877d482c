// Draws the figures, in light or dark; sorts and searches the tables; copies the commands.
"use strict";
(() => {
  const root = document.documentElement;
  const read = (id) => document.getElementById(id).textContent;
  const darkColors = JSON.parse(read("dark-colors"));
  const anyColor = new RegExp(Object.keys(darkColors).join("|"), "g");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const boxes = [...document.querySelectorAll("[data-figure]")];
  const NARROW = 560;
  let isPrinting = false;

  // --- light and dark ------------------------------------------------------------------------
  const keep = (theme) => {
    try {
      localStorage.setItem("se-search-theme", theme);
    } catch {
      // A browser that keeps nothing for files on disk: the page starts as the system is.
    }
  };
  const kept = () => {
    try {
      return localStorage.getItem("se-search-theme");
    } catch {
      return null;
    }
  };
  const isDark = () => {
    if (isPrinting) return false;
    return root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;
  };

  // --- figures -------------------------------------------------------------------------------
  const change = (layout, path, value) => {
    const keys = path.split(".");
    const last = keys.pop();
    let inner = layout;
    for (const key of keys) inner = inner[key] ??= {};
    inner[last] = value;
  };
  const draw = (box) => {
    const text = read(`data-${box.dataset.figure}`);
    const figure = JSON.parse(isDark() ? text.replace(anyColor, (one) => darkColors[one]) : text);
    const isNarrow = box.clientWidth < NARROW;
    box.dataset.narrow = isNarrow;
    const changes = isNarrow ? (figure.layout.meta.narrow ?? {}) : {};
    for (const [path, value] of Object.entries(changes)) change(figure.layout, path, value);
    const settings = {
      responsive: true,
      displaylogo: false,
      modeBarButtons: [["toImage", "resetScale2d"]],
      displayModeBar: isNarrow ? false : "hover",
    };
    const isNew = !box.classList.contains("js-plotly-plot");
    Plotly.react(box, figure.data, figure.layout, settings);
    if (isNew) box.on?.("plotly_hover", (event) => mark(event.points[0]?.id));
    if (isNew) box.on?.("plotly_unhover", () => mark(null));
  };
  const drawAll = () => boxes.forEach(draw);

  // The row of the front's table and the point of the figure stand for one candidate.
  const rows = [...document.querySelectorAll("#front-table tr[data-number]")];
  const mark = (number) => {
    for (const row of rows) row.classList.toggle("marked", row.dataset.number === number);
  };
  const point = (number) => {
    for (const box of boxes) {
      if (!box.dataset.figure.startsWith("front")) continue;
      const found = [];
      (box.data ?? []).forEach((trace, curveNumber) => {
        const pointNumber = (trace.ids ?? []).indexOf(number);
        if (pointNumber >= 0) found.push({ curveNumber, pointNumber });
      });
      if (found.length) Plotly.Fx.hover(box, found);
      else Plotly.Fx.unhover(box);
    }
  };
  for (const row of rows) {
    row.addEventListener("mouseenter", () => point(row.dataset.number));
    row.addEventListener("mouseleave", () => point(null));
  }

  for (const button of document.querySelectorAll("[data-against]")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll("[data-against]")) {
        other.setAttribute("aria-pressed", other === button);
      }
      for (const box of boxes) {
        const [name, against] = box.dataset.figure.split("-");
        if (!["found", "certainty"].includes(name) || against === button.dataset.against) continue;
        box.dataset.figure = `${name}-${button.dataset.against}`;
        draw(box);
      }
    });
  }

  // --- tables --------------------------------------------------------------------------------
  const order = (cell) => {
    const value = cell.dataset.order ?? cell.textContent;
    return value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.candidates")) {
    const body = table.tBodies[0];
    table.querySelectorAll("thead button").forEach((button) => {
      button.addEventListener("click", () => {
        const heading = button.closest("th");
        const first = heading.classList.contains("number") ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const wanted = heading.getAttribute("aria-sort") === first ? other : first;
        for (const each of table.querySelectorAll("th")) each.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", wanted);
        const sign = wanted === "ascending" ? 1 : -1;
        const at = heading.cellIndex;
        const sorted = [...body.rows].map((row) => [order(row.cells[at]), row]);
        sorted.sort((a, b) => sign * compare(a[0], b[0]));
        body.append(...sorted.map(([, row]) => row));
      });
    });
  }
  const search = document.getElementById("search");
  if (search) {
    const body = document.getElementById(search.dataset.table).tBodies[0];
    const texts = new Map([...body.rows].map((row) => [row, row.textContent.toLowerCase()]));
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of texts) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      document.getElementById("matches").textContent = words.length
        ? `${shown} of ${texts.size}`
        : "";
    });
  }

  // --- commands ------------------------------------------------------------------------------
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // to be copied by hand
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 1600);
    });
  }

  // --- begin ---------------------------------------------------------------------------------
  if (kept()) root.dataset.theme = kept();
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
    drawAll();
  });
  prefersDark.addEventListener("change", drawAll);
  addEventListener("resize", () => {
    for (const box of boxes) {
      if (String(box.clientWidth < NARROW) !== box.dataset.narrow) draw(box);
    }
  });
  const printing = (is) => () => {
    isPrinting = is;
    for (const each of document.querySelectorAll("details")) each.open = each.open || is;
    drawAll();
  };
  addEventListener("beforeprint", printing(true));
  addEventListener("afterprint", printing(false));
  drawAll();
  root.dataset.drawn = boxes.length;
})();
