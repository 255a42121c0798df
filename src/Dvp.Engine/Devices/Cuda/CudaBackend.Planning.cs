namespace Dvp.Engine.Devices.Cuda;

// The kernels of work, known before it runs: launchers themselves say which ones they choose, in a pass whose launches do nothing.
public sealed partial class CudaBackend
{
    private HashSet<KernelVariant>? _planned;

    /// <summary>Whether operators only say which kernels they would launch.</summary>
    internal bool IsPlanning => _planned is not null;

    /// <summary>
    /// Loads the kernels that work is going to launch. Those that must be compiled are compiled in parallel, which is what a first start
    /// spends its time with: one after the other, as launches come to them, most processors would wait.
    /// </summary>
    /// <param name="work">Calls operators, with the tensors that it will have when it runs. Copies that it makes are made.</param>
    /// <exception cref="DvpException">A kernel cannot be compiled or loaded.</exception>
    internal void LoadKernels(Action work)
    {
        HashSet<KernelVariant> missing = _planned = [];
        try
        {
            work();
        }
        finally
        {
            _planned = null;
        }

        Warm(missing);
    }
}
