"""Joins our rows and a peer's into one table. Needs no PyTorch."""
import json
import statistics


def key(row):
    """An operator and its sizes, the same text for both sides."""
    return " ".join([row["op"]] + [f"{name}={value}" for name, value in row["sizes"].items()])


def merge(rounds):
    """Rows of several rounds as key -> list of median seconds; refused rows are left out."""
    merged = {}
    for rows in rounds:
        for row in rows:
            if not row.get("refused") and row.get("median_seconds"):
                merged.setdefault(key(row), []).append(row["median_seconds"])
    return merged


def refusals(rounds):
    """Why a row was refused in a round, by key."""
    return {key(row): row["refused"] for rows in rounds for row in rows if row.get("refused")}


def above(share):
    """The refusal of a time that the measured roofline, with 5 % for its own spread, does not allow; None for a possible one."""
    return f"{share:.2f} times the measured roofline: its time cannot be right" if share > 1.05 else None


def spread(seconds):
    """Largest difference between rounds, as a share of their median."""
    return (max(seconds) - min(seconds)) / statistics.median(seconds) if len(seconds) > 1 else 0.0


def render(listed, ours, peers, roofline, header, refused=None):
    """The Markdown table.

    listed    operators with flops and bytes, in the order to show
    ours      key -> seconds of each round
    peers     name -> key -> seconds of each round
    roofline  (bytes a second, operations a second) as measured by us, or None
    refused   key -> why ours has no time
    """
    names = list(peers)
    lines = [f"- {line}" for line in header] + [""]
    lines.append("| operator | ours us (spread) | % of roofline | " + " | ".join(f"{n} us (ratio)" for n in names) + " |")
    lines.append("|---|---:|---:|" + "---:|" * len(names))
    for row in listed:
        k = key(row)
        mine = ours.get(k)
        median = statistics.median(mine) if mine else None
        cells = [k, f"{1e6 * median:.1f} ({100 * spread(mine):.1f} %)" if median else f"refused: {refused[k]}" if refused and k in refused else "not measured"]
        floor = max(row["bytes"] / roofline[0], row["flops"] / roofline[1]) if roofline else None
        cells.append(f"{100 * floor / median:.0f}" if floor and median else "")
        for name in names:
            theirs = peers[name].get(k)
            if not theirs:
                cells.append("")
                continue
            other = statistics.median(theirs)
            if floor and above(floor / other):
                cells.append(f"refused: {above(floor / other)}")
                continue
            cells.append(f"{1e6 * other:.1f} ({other / median:.2f})" if median else f"{1e6 * other:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Ratio: the peer's time over ours; above 1 ours is faster. Spread: largest difference between rounds."]
    return "\n".join(lines) + "\n"


def load(text):
    """The one JSON object that dvp prints with --json."""
    return json.loads(text)
