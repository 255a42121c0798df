"""The operators of `dvp bench --only ops`, as PyTorch has them. prepare(op, sizes, ...) returns a call on operands of its own."""
import torch
import torch.nn.functional as F


class Operands:
    def __init__(self, device, dtype, seed=1):
        self.device, self.dtype = device, dtype
        self.generator = torch.Generator(device=device).manual_seed(seed)

    def values(self, *shape, dtype=None, grad=False):
        t = torch.rand(*shape, device=self.device, generator=self.generator, dtype=torch.float32) * 2 - 1
        return t.to(dtype or self.dtype).requires_grad_(grad)

    def ids(self, bound, *shape):
        return torch.randint(bound, shape, device=self.device, generator=self.generator)


def gradients(output, inputs, cotangent):
    """The backward pass alone of a forward pass that was done once."""
    return lambda: torch.autograd.grad(output, inputs, cotangent, retain_graph=True)


def linear(o, rows, inputs, outputs, activation=None):
    x, w, b = o.values(rows, inputs), o.values(outputs, inputs), o.values(outputs)
    if activation is None:
        return lambda: F.linear(x, w, b)  # one cuBLASLt product with the bias in its epilogue
    return lambda: activation(F.linear(x, w, b))


def linear_backward_input(o, rows, inputs, outputs):
    dy, w = o.values(rows, outputs), o.values(outputs, inputs)
    return lambda: dy @ w


def linear_backward_parameters(o, rows, inputs, outputs):
    dy, x = o.values(rows, outputs), o.values(rows, inputs)
    dw, db = o.values(outputs, inputs, dtype=torch.float32), o.values(outputs, dtype=torch.float32)

    def call():
        dw.add_(dy.t() @ x)
        db.add_(dy.sum(0))
    return call


def adapter(o, rows, channels, hidden, backward=False):
    x = o.values(rows, channels, grad=backward)
    p = [o.values(hidden, channels, grad=backward), o.values(hidden, grad=backward),
         o.values(channels, hidden, grad=backward), o.values(channels, grad=backward)]
    forward = lambda: x + F.linear(F.relu(F.linear(x, p[0], p[1])), p[2], p[3])
    return gradients(forward(), [x] + p, o.values(rows, channels)) if backward else forward


def layernorm(o, rows, channels, backward=None):
    x, residual = o.values(rows, channels, grad=backward == "input"), o.values(rows, channels)
    gamma, beta = o.values(channels, grad=backward == "parameters"), o.values(channels, grad=backward == "parameters")
    forward = lambda: F.layer_norm(x + residual, (channels,), gamma, beta, 1e-12)
    if backward is None:
        return forward
    return gradients(forward(), [x] if backward == "input" else [gamma, beta], o.values(rows, channels))


def attention(o, batch, tokens, heads, size, backward=False):
    qkv = o.values(batch, tokens, 3, heads, size, grad=backward)
    q, k, v = (qkv[:, :, i].transpose(1, 2) for i in range(3))
    forward = lambda: F.scaled_dot_product_attention(q, k, v)
    return gradients(forward(), [qkv], o.values(batch, heads, tokens, size)) if backward else forward


def prompt_attention(o, batch, visual_tokens, visual_channels, channels, heads, backward=False):
    """As published: keys and values of all visual tokens are made, then one query attends to them."""
    x, q = o.values(batch, visual_tokens, visual_channels), o.values(batch, 1, channels, grad=backward)
    p = [o.values(channels, visual_channels, grad=backward), o.values(channels, visual_channels, grad=backward), o.values(channels, grad=backward)]

    def forward():
        split = lambda t: t.view(batch, -1, heads, channels // heads).transpose(1, 2)
        return F.scaled_dot_product_attention(split(q), split(F.linear(x, p[0])), split(F.linear(x, p[1], p[2])))
    return gradients(forward(), [q] + p, o.values(batch, heads, 1, channels // heads)) if backward else forward


def embedding(o, batch, tokens, channels, vocabulary):
    ids, words = o.ids(vocabulary, batch, tokens), o.values(vocabulary, channels)
    positions, types = o.values(512, channels), o.values(2, channels)
    return lambda: F.embedding(ids, words) + positions[:tokens] + types[0]


def bce_with_logits(o, rows, classes):
    logits, targets = o.values(rows, classes, grad=True), o.values(rows, classes).abs()
    return lambda: torch.autograd.grad(F.binary_cross_entropy_with_logits(logits, targets) * classes, logits)


def embedding_backward(o, batch, tokens, channels, vocabulary):
    ids, words, dy = o.ids(vocabulary, batch, tokens), o.values(vocabulary, channels, grad=True), o.values(batch, tokens, channels)
    return gradients(F.embedding(ids, words), [words], dy)


def insert_prompt(o, batch, tokens, channels, backward=False):
    prompt, text = o.values(batch, 1, channels, grad=backward), o.values(batch, tokens, channels, grad=backward)
    types = o.values(2, channels, grad=backward)
    forward = lambda: torch.cat([prompt + types[1], text + types[0]], 1)
    return gradients(forward(), [prompt, text, types], o.values(batch, tokens + 1, channels)) if backward else forward


def fill(o, rows, channels):
    y = o.values(rows, channels)
    return lambda: y.fill_(0)


def copy(o, rows, channels):
    y, x = o.values(rows, channels), o.values(rows, channels)
    return lambda: y.copy_(x)


def add(o, rows, channels):
    y, x = o.values(rows, channels), o.values(rows, channels)
    return lambda: y.add_(x)


def dropout(o, rows, channels):
    x = o.values(rows, channels)
    return lambda: F.dropout(x, 0.1)


def activation(o, rows, channels, backward=False):
    x = o.values(rows, channels, grad=backward)
    return gradients(F.gelu(x), [x], o.values(rows, channels)) if backward else lambda: F.gelu(x)


def rmsnorm(o, rows, channels, backward=None):
    x, residual = o.values(rows, channels, grad=backward == "input"), o.values(rows, channels)
    gamma = o.values(channels, grad=backward == "parameters")
    forward = lambda: F.rms_norm(x + residual, (channels,), gamma, 1e-6)
    if backward is None:
        return forward
    return gradients(forward(), [x] if backward == "input" else [gamma], o.values(rows, channels))


def gated(o, rows, channels, backward=False):
    gate, up = o.values(rows, channels, grad=backward), o.values(rows, channels, grad=backward)
    forward = lambda: F.silu(gate) * up
    return gradients(forward(), [gate, up], o.values(rows, channels)) if backward else forward


def rotary(o, batch, tokens, heads, size):
    x, positions = o.values(batch, tokens, heads, size), o.ids(tokens, batch, tokens)
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, device=o.device, dtype=torch.float32) / size)
    angles = positions[:, :, None, None] * frequencies
    cosine, sine = angles.cos().to(o.dtype), angles.sin().to(o.dtype)

    def call():
        a, b = x.chunk(2, -1)
        return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)
    return call


def mean_tokens(o, batch, tokens, channels, backward=False):
    x = o.values(batch, tokens, channels, grad=backward)
    return gradients(x.mean(1), [x], o.values(batch, channels)) if backward else lambda: x.mean(1)


def extract_patches(o, batch, size, patch):
    x, across = o.values(batch, 3, size, size), size // patch
    return lambda: x.view(batch, 3, across, patch, across, patch).permute(0, 2, 4, 1, 3, 5).reshape(batch, across * across, 3 * patch * patch)


def vision_tokens(o, batch, tokens, channels):
    patches, first, positions = o.values(batch, tokens - 1, channels), o.values(1, 1, channels), o.values(tokens, channels)
    return lambda: torch.cat([first.expand(batch, 1, channels), patches], 1) + positions


def relative_bias(o, heads, queries, keys, buckets, backward=False):
    """The lookup alone: the bucket of every pair is known beforehand, as it is here."""
    weight, pairs = o.values(buckets, heads, grad=backward), o.ids(buckets, queries, keys)
    forward = lambda: F.embedding(pairs, weight).permute(2, 0, 1).contiguous()
    return gradients(forward(), [weight], o.values(heads, queries, keys)) if backward else forward


def softmax_cross_entropy(o, rows, classes):
    logits, labels = o.values(rows, classes, grad=True), o.ids(classes, rows)
    return lambda: torch.autograd.grad(F.cross_entropy(logits, labels), logits)


def pieces(o, tensors, elements):
    """As many f32 tensors as the tool's, of equal sizes: their total is what decides."""
    return [o.values(elements // tensors, dtype=torch.float32) for _ in range(tensors)]


def global_norm(o, tensors, elements):
    gradients_ = pieces(o, tensors, elements)
    return lambda: torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients_)))


def adamw(o, tensors, elements):
    parameters = pieces(o, tensors, elements)
    for p in parameters:
        p.grad = o.values(*p.shape, dtype=torch.float32)
    optimizer = torch.optim.AdamW(parameters, lr=1e-6, betas=(0.9, 0.98), weight_decay=0.01, fused=True, capturable=o.device == "cuda")
    return optimizer.step


OPS = {
    "linear_forward": linear,
    "linear_gelu_forward": lambda o, **s: linear(o, activation=F.gelu, **s),
    "linear_quick_gelu_forward": lambda o, **s: linear(o, activation=lambda t: t * torch.sigmoid(1.702 * t), **s),
    "linear_backward_input": linear_backward_input,
    "linear_backward_parameters": linear_backward_parameters,
    "adapter_forward": adapter,
    "adapter_backward": lambda o, **s: adapter(o, backward=True, **s),
    "layernorm_forward": layernorm,
    "layernorm_backward": lambda o, **s: layernorm(o, backward="input", **s),
    "layernorm_backward_parameters": lambda o, **s: layernorm(o, backward="parameters", **s),
    "attention_forward": attention,
    "attention_backward": lambda o, **s: attention(o, backward=True, **s),
    "prompt_attention_forward": prompt_attention,
    "prompt_attention_backward": lambda o, **s: prompt_attention(o, backward=True, **s),
    "embedding_forward": embedding,
    "bce_with_logits": bce_with_logits,
    "embedding_backward": embedding_backward,
    "insert_prompt_forward": insert_prompt,
    "insert_prompt_backward": lambda o, **s: insert_prompt(o, backward=True, **s),
    "fill": fill,
    "copy": copy,
    "add": add,
    "dropout": dropout,
    "activation_forward": activation,
    "activation_backward": lambda o, **s: activation(o, backward=True, **s),
    "rmsnorm_forward": rmsnorm,
    "rmsnorm_backward": lambda o, **s: rmsnorm(o, backward="input", **s),
    "rmsnorm_backward_parameters": lambda o, **s: rmsnorm(o, backward="parameters", **s),
    "gated_forward": gated,
    "gated_backward": lambda o, **s: gated(o, backward=True, **s),
    "rotary": rotary,
    "mean_tokens_forward": mean_tokens,
    "mean_tokens_backward": lambda o, **s: mean_tokens(o, backward=True, **s),
    "extract_patches": extract_patches,
    "vision_tokens_forward": vision_tokens,
    "relative_bias_forward": relative_bias,
    "relative_bias_backward": lambda o, **s: relative_bias(o, backward=True, **s),
    "softmax_cross_entropy": softmax_cross_entropy,
    "global_norm": global_norm,
    "adamw": adamw,
}


# Compiled and eager results are not compared: dropout draws anew, and the others change their operands in place and return nothing new.
NOT_COMPARED = {"dropout", "fill", "copy", "add", "linear_backward_parameters", "adamw"}


def prepare(op, sizes, device, dtype, seed):
    return OPS[op](Operands(device, dtype, seed), **sizes)
