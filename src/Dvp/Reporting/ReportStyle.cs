namespace Dvp.Reporting;

/// <summary>The style sheet of the report: system fonts, light and dark by the reader's setting, readable in print.</summary>
internal static class ReportStyle
{
    public const string Css = """
        :root { color-scheme: light dark; --ground: #fbfbfa; --card: #ffffff; --text: #1d232b; --soft: #5d6773; --line: #e2e5e9;
          --accent: #3b7dd8; --good: #1f8a56; --bad: #c04a3f; --warn-ground: #fff6e0; --warn-line: #e6b84f; }
        @media (prefers-color-scheme: dark) { :root { --ground: #14181d; --card: #1b2027; --text: #e4e8ed; --soft: #98a3b0; --line: #2e353e;
          --accent: #6ea6ef; --good: #53c48c; --bad: #ea7c70; --warn-ground: #2b2514; --warn-line: #8a6d25; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--text);
          font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
        main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
        h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
        h2 { font-size: 19px; margin: 40px 0 12px; } h3 { font-size: 15px; margin: 0 0 8px; }
        p { margin: 0 0 10px; max-width: 78ch; } .soft { color: var(--soft); }
        nav { margin: 14px 0 0; font-size: 14px; } nav a { color: var(--accent); margin-right: 14px; text-decoration: none; }
        nav a:hover { text-decoration: underline; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 22px 0 8px; }
        .tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
        .tile b { display: block; font-size: 25px; font-weight: 650; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
        .tile.main b { color: var(--accent); } .tile span { display: block; color: var(--soft); font-size: 13px; }
        .note { background: var(--warn-ground); border-left: 3px solid var(--warn-line); border-radius: 0 8px 8px 0;
          padding: 10px 14px; margin: 10px 0; max-width: none; }
        .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr)); gap: 14px; margin-bottom: 14px; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
        th, td { padding: 5px 12px 5px 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
        th { color: var(--soft); font-weight: 550; } th:first-child, td:first-child, td.text, th.text { text-align: left; }
        tr:last-child td { border-bottom: 0; } tr.sum td { font-weight: 650; border-top: 2px solid var(--line); }
        tr.chosen td { font-weight: 650; color: var(--accent); } td small { color: var(--soft); font-weight: 400; white-space: nowrap; }
        td.text { overflow-wrap: anywhere; }
        .bar { display: inline-block; height: 9px; border-radius: 2px; background: var(--accent); min-width: 1px; }
        td.graph { width: 34%; text-align: left; }
        .chart { width: 100%; height: auto; display: block; }
        .chart text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--soft); }
        .chart text.label { fill: var(--text); } .chart .grid { stroke: var(--line); } .chart .zero { stroke: var(--soft); }
        .legend { margin: 4px 0 0; font-size: 13px; color: var(--soft); max-width: none; }
        .legend span { margin-right: 14px; white-space: nowrap; }
        .legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 5px; vertical-align: -1px; }
        .examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); gap: 14px; }
        .views { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; margin-bottom: 10px; }
        .views > * { width: 100%; height: auto; border-radius: 6px; display: block; image-rendering: pixelated; }
        .views svg:hover .attention { opacity: 0; } .question { font-weight: 600; margin: 0 0 6px; }
        .answers td { padding: 2px 8px 2px 0; border: 0; } .right { color: var(--good); } .wrong { color: var(--bad); }
        footer { margin-top: 48px; color: var(--soft); font-size: 13px; }
        @media print { body { background: #fff; } .card, .tile { break-inside: avoid; } nav { display: none; } }
        """;
}
