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
}


def prepare(op, sizes, device, dtype, seed):
    return OPS[op](Operands(device, dtype, seed), **sizes)
