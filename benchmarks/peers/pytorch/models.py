"""DVP-BERT with adapters in PyTorch, as published (keys and values of the prompt attention projected): forward pass and training step."""
import json
import struct

import torch
import torch.nn.functional as F

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64, "I64": torch.int64, "I32": torch.int32}


def load_safetensors(path):
    """The tensors of a .safetensors file by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    return {name: torch.frombuffer(data, dtype=TYPES[t["dtype"]], offset=t["data_offsets"][0], count=max(1, (t["data_offsets"][1] - t["data_offsets"][0]) // torch.empty(0, dtype=TYPES[t["dtype"]]).element_size())).view(t["shape"]).clone()
            for name, t in header.items() if name != "__metadata__" and t["data_offsets"][1] > t["data_offsets"][0]}


def random_weights(layers=12, c=768, ff=3072, adapter=96, visual=768, answers=3129, vocabulary=30522, device="cpu", dtype=torch.float32):
    """Weights under the names of the golden files, BERT-base by default."""
    shapes = {"embeddings.word_embeddings.weight": (vocabulary, c), "embeddings.position_embeddings.weight": (512, c),
              "embeddings.token_type_embeddings.weight": (2, c), "token_type_embeddings.weight": (2, c)}
    norms = ["embeddings.LayerNorm"]
    for i in range(layers):
        p = f"encoder.layer.{i}."
        for name, (outputs, inputs) in {"attention.self.query": (c, c), "attention.self.key": (c, c), "attention.self.value": (c, c),
                                        "attention.output.dense": (c, c), "intermediate.dense": (ff, c), "output.dense": (c, ff)}.items():
            shapes[f"{p}{name}.weight"], shapes[f"{p}{name}.bias"] = (outputs, inputs), (outputs,)
        norms += [p + "attention.output.LayerNorm", p + "output.LayerNorm"]
        for a in (2 * i, 2 * i + 1):
            for name, shape in {"down": (adapter, c), "up": (c, adapter)}.items():
                shapes[f"adapters.{a}.{name}.weight"], shapes[f"adapters.{a}.{name}.bias"] = shape, shape[:1]
    for name, (outputs, inputs) in {"prompt.linear_q": (c, c), "prompt.linear_k": (c, visual), "prompt.linear_v": (c, visual),
                                    "prompt.linear_merge": (c, c), "head.0": (2 * c, c), "head.3": (answers, 2 * c)}.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs), (outputs,)
    w = {name: 0.02 * torch.randn(shape, device=device) for name, shape in shapes.items()}
    for name, width in [(n, c) for n in norms] + [("head.1", 2 * c)]:
        w[f"{name}.weight"], w[f"{name}.bias"] = torch.ones(width, device=device), torch.zeros(width, device=device)
    return {name: t.to(dtype) for name, t in w.items()}


def forward(w, ids, mask, visual, layer, layers, heads, eps=1e-12, prompt_heads=None):
    """Logits (B, answers). prompt_heads: those of the prompt attention, where they are not the language model's."""
    linear = lambda x, name: F.linear(x, w[name + ".weight"], w[name + ".bias"])
    norm = lambda x, name, e=eps: F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], e)
    split = lambda x, count=heads: x.view(x.shape[0], x.shape[1], count, -1).transpose(1, 2)
    join = lambda x: x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)

    def adapt(x, index):
        if f"adapters.{index}.down.weight" not in w:
            return x
        return x + linear(F.relu(linear(x, f"adapters.{index}.down")), f"adapters.{index}.up")

    def block(h, keys, i):
        p = f"encoder.layer.{i}."
        q, k, v = (split(linear(h, f"{p}attention.self.{n}")) for n in ("query", "key", "value"))
        context = join(F.scaled_dot_product_attention(q, k, v, attn_mask=keys))
        a = norm(h + adapt(linear(context, p + "attention.output.dense"), 2 * i), p + "attention.output.LayerNorm")
        f = linear(F.gelu(linear(a, p + "intermediate.dense")), p + "output.dense")
        return norm(a + adapt(f, 2 * i + 1), p + "output.LayerNorm")

    h = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: ids.shape[1]] + w["embeddings.token_type_embeddings.weight"][0]
    h = norm(h, "embeddings.LayerNorm")
    keys = mask.bool()[:, None, None, :]
    for i in range(layer):
        h = block(h, keys, i)
    q, k, v = (split(linear(x, f"prompt.linear_{n}"), prompt_heads or heads) for x, n in ((h[:, :1], "q"), (visual, "k"), (visual, "v")))
    prompt = linear(join(F.scaled_dot_product_attention(q, k, v)), "prompt.linear_merge")
    types = w["token_type_embeddings.weight"]
    h = torch.cat([prompt + types[1], h + types[0]], 1)
    keys = torch.cat([torch.ones_like(keys[..., :1]), keys], -1)
    for i in range(layer, layers):
        h = block(h, keys, i)
    return linear(F.gelu(norm(linear(h[:, 1], "head.0"), "head.1", 1e-5)), "head.3")
