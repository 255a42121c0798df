using System.Globalization;

namespace Dvp.Cuda;

/// <summary>A call of the driver, of NVRTC or of cuBLASLt that failed, or a library that is not there.</summary>
public sealed class CudaException : Exception
{
    /// <summary>Makes the error of a call.</summary>
    /// <param name="call">The function: <c>cuMemAlloc_v2</c>; or the library that was looked for.</param>
    /// <param name="code">The number it returned; 0 where no call was made.</param>
    /// <param name="errorName">The name of that number: <c>CUDA_ERROR_OUT_OF_MEMORY</c>.</param>
    /// <param name="message">The whole sentence: what failed, why, what to do.</param>
    /// <param name="kernel">The kernel whose launch failed; null where none did.</param>
    /// <param name="inner">The error that came first, when this one only repeats it.</param>
    public CudaException(string call, int code, string errorName, string message, string? kernel = null, Exception? inner = null)
        : base(message, inner)
    {
        Call = call;
        Code = code;
        ErrorName = errorName;
        Kernel = kernel;
    }

    /// <summary>The function that failed, or the library that was looked for.</summary>
    public string Call { get; }

    /// <summary>The number that the call returned; 0 where no call was made.</summary>
    public int Code { get; }

    /// <summary>The name of <see cref="Code"/>, as the library's header has it.</summary>
    public string ErrorName { get; }

    /// <summary>The kernel whose launch failed; null where none did.</summary>
    public string? Kernel { get; }

    /// <summary>Whether a kernel launched before the call may have made the error; <see cref="Kernel"/> is then the one launched last.</summary>
    public bool FromEarlierLaunch { get; private init; }

    /// <summary>The error of a library that cannot be loaded.</summary>
    internal static CudaException Missing(string library, string what, string mend) => new(library, 0, "", $"{what} {mend}");

    /// <summary>The error of a call.</summary>
    /// <param name="call">Source text of the call: <c>api.cuMemFree_v2(handle)</c>.</param>
    /// <param name="code">What it returned.</param>
    /// <param name="name">Name of the code.</param>
    /// <param name="description">The library's own words about it.</param>
    /// <param name="kernel">The kernel launched by the call, or null.</param>
    /// <param name="lastLaunch">The kernel launched last on the context, or null.</param>
    /// <param name="advice">What to do about it; empty, or a sentence with a space in front.</param>
    internal static CudaException Of(string call, int code, string name, string description, string? kernel, string? lastLaunch, string advice)
    {
        string function = FunctionName(call);
        string subject = kernel is null ? function : $"{kernel} ({function})";
        bool earlier = kernel is null && lastLaunch is not null && CudaErrors.IsSticky(code);
        string late = earlier
            ? $" A kernel launched before this call caused it; the last one was {lastLaunch}. Launch with blocking on to learn which."
            : "";
        string text = description.Length == 0 || description == name ? "" : $": {description}";
        return new CudaException(
            function, code, name,
            string.Create(CultureInfo.InvariantCulture, $"{subject} failed with {name} ({code}){text}.{late}{advice}"),
            kernel ?? (earlier ? lastLaunch : null))
        {
            FromEarlierLaunch = earlier,
        };
    }

    /// <summary>The same error again, for a call that it made fail.</summary>
    internal static CudaException Again(CudaException first) =>
        new(first.Call, first.Code, first.ErrorName, first.Message, first.Kernel, first) { FromEarlierLaunch = first.FromEarlierLaunch };

    // The name in front of the first parenthesis: "_api.cuStreamSynchronize(stream)" is cuStreamSynchronize.
    private static string FunctionName(string call)
    {
        int end = call.IndexOf('(', StringComparison.Ordinal);
        string head = end < 0 ? call : call[..end];
        return head[(head.LastIndexOf('.') + 1)..].Trim();
    }
}
