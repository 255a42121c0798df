#!/usr/bin/env python3
"""Ours and PyTorch on the same work, round by round, as one table.

    python3 compare.py --dvp ./dvp --output comparison.md              on a GPU with PyTorch
    python3 compare.py --device cpu --dtype f32 --threads 2 ...        the same on a processor

A round measures ours, then every peer; there are three. Peers: eager PyTorch, the same captured in a CUDA graph, torch.compile captured in a
CUDA graph; on a processor eager and torch.compile. Products go to cuBLASLt, attention to scaled_dot_product_attention. TF32 is off. Results of compiled and eager code are compared
before anything is timed, and the models are compared with ours on a golden case where --repository has one.
"""
import argparse
import os
import platform
import subprocess
import sys
import tempfile
import zipfile

import table

CASE = "adapter-vqa-k2"


def arguments(args=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dvp", default="dvp", help="the tool (default: dvp on the PATH)")
    p.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    p.add_argument("--dtype", choices=["f32", "bf16", "f16"], default="bf16")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=0.3, help="of each row and round")
    p.add_argument("--threads", type=int, default=0, help="of either side on a processor (default: what each takes)")
    p.add_argument("--filter", default="", help="only operators whose name contains this")
    p.add_argument("--batch", type=int, default=0, help="one batch of questions (default: 64 and 256)")
    p.add_argument("--real-tokens", type=int, default=9, help="length of a batch that is cut to its longest question")
    p.add_argument("--skip-ours", action="store_true", help="measure the peers alone")
    p.add_argument("--skip-models", action="store_true", help="measure operators alone")
    p.add_argument("--repository", default="", help="a checkout, for the golden case that outputs are compared on")
    p.add_argument("--list", default="", help="a saved `dvp bench --only ops --list --json` in place of asking the tool")
    p.add_argument("--output", default="", help="file to write (default: the screen)")
    return p.parse_args(args)


def ask(options, *args):
    """Runs the tool and returns its JSON."""
    command = [options.dvp, "bench", *args, *(["--threads", str(options.threads)] if options.threads else []), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no message'}")
    return table.load(done.stdout)


def selection(options):
    picked = ["--filter", options.filter] if options.filter else []
    return picked + (["--batch", str(options.batch)] if options.batch else [])


def shapes(options):
    """What is measured: always the tool's own list."""
    if options.list:
        with open(options.list, encoding="utf-8") as file:
            return [row for row in table.load(file.read())["ops"] if options.filter in row["op"]]
    return ask(options, "--only", "ops", "--list", *selection(options))["ops"]


def peer_rounds(options, torch, listed):
    """Yields one round of all peers at a time: name -> rows."""
    import ops
    import timing

    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[options.dtype]
    graphs = options.device == "cuda"
    kinds = {"eager": (False, False), "CUDA graph": (False, True), "compile + CUDA graph": (True, True)} if graphs else {"eager": (False, False), "compile": (True, False)}
    while True:
        rows = {name: [] for name in kinds}
        for row in listed:
            torch._dynamo.reset()  # else code of other sizes makes this row's general, or is given up after some
            count = timing.sets_for(options.device, row["bytes"])
            with timing.on_stream(options.device):
                calls = [ops.prepare(row["op"], row["sizes"], options.device, dtype, seed) for seed in range(count)]
            for name, (compiled, graph) in kinds.items():
                if compiled and "backward" in row["op"]:
                    continue  # autograd's own kernels: nothing is left to compile
                used = [torch.compile(c) for c in calls] if compiled else calls
                if compiled and row["op"] not in ops.NOT_COMPARED:
                    agree(torch, calls[0](), used[0](), row["op"])
                before = timing.clocks()
                median, p95 = timing.measure(used, options.device, options.seconds, graph)
                after = timing.clocks()
                moved = before and after and abs(after - before) > 0.02 * max(before, after)
                if moved:
                    median, p95 = timing.measure(used, options.device, options.seconds, graph)
                rows[name].append({"op": row["op"], "sizes": row["sizes"], "median_seconds": median, "p95_seconds": p95, "clock_moved": bool(moved)})
        yield rows


def agree(torch, a, b, what):
    """2e-2: what rounding to bf16, eight bits, does to one operator; a wrong formula is far beyond it."""
    a, b = (t if isinstance(t, (tuple, list)) else (t,) for t in (a, b))
    for x, y in zip(a, b):
        if x is not None and not torch.allclose(x.float(), y.float(), atol=2e-2, rtol=2e-2):
            sys.exit(f"{what}: compiled and eager results differ by {(x.float() - y.float()).abs().max():.3g}; nothing was timed")


def check_models(options, torch):
    """Our logits and PyTorch's on a golden case, before anything is timed."""
    import models

    archive = os.path.join(options.repository, "tests", "fixtures", "dvp-bert.zip")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as z:
            z.extractall(folder)
        case = os.path.join(folder, CASE)
        out = os.path.join(folder, "out.safetensors")
        subprocess.run([options.dvp, "forward", "--model", os.path.join(case, "model"), "--dvp", case, "--inputs",
                        os.path.join(case, "inputs.safetensors"), "--output", out, "--device", options.device, "--dtype", "f32"], check=True, capture_output=True)
        ours = models.load_safetensors(out)["logits"].float()
        w = {}
        for path in (os.path.join(case, "model", "model.safetensors"), os.path.join(case, "dvp.safetensors")):
            w.update({name.removeprefix("bert."): t.float() for name, t in models.load_safetensors(path).items()})
        with open(os.path.join(case, "model", "config.json"), encoding="utf-8") as file:
            config = table.load(file.read())
        with open(os.path.join(case, "dvp_config.json"), encoding="utf-8") as file:
            dvp = table.load(file.read())
        x = models.load_safetensors(os.path.join(case, "inputs.safetensors"))
        theirs = models.forward(w, x["input_ids"].long(), x["attention_mask"], x["visual_features"].float(), dvp["layer"],
                                config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"], dvp["prompt"]["num_heads"])
    worst = (ours - theirs).abs().max().item()
    if worst > 1e-3 * max(1.0, theirs.abs().max().item()):
        sys.exit(f"logits of {CASE} differ by {worst:.3g}; nothing was timed")
    return f"outputs compared on {CASE}: largest difference of logits {worst:.2g}"


def peer_models(options, torch):
    """Forward passes of DVP-BERT-base from cached features, padded and cut to real lengths: rows of text."""
    import models
    import timing

    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[options.dtype]
    w = models.random_weights(device=options.device, dtype=dtype)
    graphs, rows = options.device == "cuda", []
    for batch in (1, 16, 64, 256) if graphs else (1, 16):
        for what, tokens in (("padded to 16", 16), (f"real length {options.real_tokens}", options.real_tokens)):
            torch._dynamo.reset()
            ids = torch.randint(30522, (batch, tokens), device=options.device)
            mask = (torch.arange(tokens, device=options.device) < options.real_tokens).long().expand(batch, tokens)  # zeros are padding
            visual = torch.rand(batch, 197, 768, device=options.device, dtype=dtype)
            plain = lambda: models.forward(w, ids, mask, visual, 0, 12, 12)
            with torch.no_grad():
                times = {"eager": timing.measure([plain], options.device, options.seconds, False)}
                if graphs:
                    times["CUDA graph"] = timing.measure([plain], options.device, options.seconds, True)
                compiled = torch.compile(plain)
                agree(torch, plain(), compiled(), "DVP-BERT-base")
                times["compile + CUDA graph" if graphs else "compile"] = timing.measure([compiled], options.device, options.seconds, graphs)
            rows += [f"| DVP-BERT-base forward, batch {batch}, {what} | {name} | {1e3 * m:.3f} | {1e3 * p:.3f} |" for name, (m, p) in times.items()]
    return rows


def our_models(options):
    rows = []
    for batch in (16, 64, 256) if options.device == "cuda" else (16,):
        report = ask(options, "--only", "models", "--device", options.device, "--batch", str(batch), "--seconds", str(options.seconds))
        for r in report["rows"]:
            refused = table.above(r.get("peak_share", 0))
            shown = f"refused: {refused}" if refused else f"{1e3 * r['median_seconds']:.3f}"
            rows.append(f"| {r['name']} | ours | {shown} | {1e3 * r['p95_seconds']:.3f} |")
    return list(dict.fromkeys(rows))


def main():
    options = arguments()
    try:
        import torch
    except ModuleNotFoundError:
        sys.exit("PyTorch is not installed for this Python; the comparison needs it (our own rows: dvp bench --only ops).")
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU; --device cpu tries the scripts without one.")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if options.device == "cuda":
        torch.backends.cuda.preferred_blas_library("cublaslt")
    if options.threads:
        torch.set_num_threads(options.threads)

    listed = shapes(options)
    name = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor() or "CPU"
    header = [f"device: {name}", f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {options.dtype}, TF32 off, {torch.get_num_threads()} threads, {options.rounds} rounds in turns"]
    if options.repository and not options.skip_ours:
        header.append(check_models(options, torch))
    ours, peers, roofline = [], {}, None
    rounds = peer_rounds(options, torch, listed)
    for _ in range(options.rounds):
        if not options.skip_ours:
            report = ask(options, "--only", "ops", "--device", options.device, "--dtype", options.dtype, "--seconds", str(options.seconds), *selection(options))
            ours.append(report["ops"])
            roofline = (report["copy_bytes_per_second"], report["flops_per_second"])
        for peer, rows in next(rounds).items():
            peers.setdefault(peer, []).append(rows)
    if roofline:
        header.append(f"measured roofline: copy {roofline[0] / 1e9:.0f} GB/s, multiply-add {roofline[1] / 1e12:.3g} TFLOP/s")
    text = table.render(listed, table.merge(ours), {n: table.merge(r) for n, r in peers.items()}, roofline, header, table.refusals(ours))
    if not options.skip_models:
        lines = [] if options.skip_ours else our_models(options)
        lines += peer_models(options, torch)
        text += "\n| model | who | median ms | p95 ms |\n|---|---|---:|---:|\n" + "\n".join(lines) + "\n"
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
