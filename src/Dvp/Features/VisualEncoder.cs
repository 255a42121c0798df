using Dvp.Engine;
using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Models.Clip;
using Dvp.Models.Images;

namespace Dvp.Features;

/// <summary>A frozen CLIP vision tower with its picture preprocessing: files in, visual tokens out.</summary>
public sealed class VisualEncoder : IDisposable
{
    private readonly Backend _backend;
    private readonly ParameterSet _parameters;
    private readonly ClipVisionModel _model;
    private readonly Arena _arena;
    private readonly Arena[] _layerArenas;
    private readonly RecordedWork? _forward;
    private readonly Variable _pixels;
    private readonly Variable _tokens;
    private readonly float[] _host;

    private VisualEncoder(string folder, Backend backend, ClipPreprocessor preprocessor, int batch)
    {
        Folder = folder;
        Preprocessor = preprocessor;
        _backend = backend;
        _parameters = new ParameterSet(backend);
        _arena = new Arena(backend, 4L << 20);
        _layerArenas = [new Arena(backend, 4L << 20), new Arena(backend, 4L << 20)];
        try
        {
            _model = ClipFolder.Load(folder, _parameters);
            int side = _model.Config.ImageSize;
            if (preprocessor.Config.Width != side || preprocessor.Config.Height != side)
            {
                throw new DvpException(
                    $"{folder}: preprocessor_config.json makes pictures of {preprocessor.Config.Width} x {preprocessor.Config.Height} pixels, and the model takes {side} x {side}.");
            }

            Batch = batch;
            Graph graph = new(backend, _arena, training: false, layerArenas: _layerArenas);
            _pixels = graph.Input(backend.ActivationType, batch, 3, side, side);
            _tokens = _model.Forward(graph, _pixels);
            _forward = backend.Record(graph.RunForward);
            _host = new float[batch * 3 * side * side];
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The model's folder.</summary>
    public string Folder { get; }

    /// <summary>Decoding, resizing, normalising.</summary>
    public ClipPreprocessor Preprocessor { get; }

    /// <summary>Pictures of one pass.</summary>
    public int Batch { get; }

    /// <summary>N, visual tokens of a picture.</summary>
    public int Tokens => _model.Config.Tokens;

    /// <summary>V, channels of a visual token.</summary>
    public int Channels => _model.Config.HiddenSize;

    /// <summary>Bytes of weights and activations.</summary>
    public long Bytes => _parameters.ValueBytes + _arena.CapacityBytes + _layerArenas.Sum(a => a.CapacityBytes);

    /// <summary>Loads a tower and its <c>preprocessor_config.json</c>.</summary>
    /// <param name="folder">Hugging Face folder.</param>
    /// <param name="backend">The device.</param>
    /// <param name="batch">Pictures of one pass.</param>
    /// <param name="transform">Order of resizing and conversion to RGB; null for what the configuration says.</param>
    /// <param name="limits">Largest picture accepted.</param>
    /// <exception cref="DvpException">A file is missing or damaged.</exception>
    public static VisualEncoder Load(string folder, Backend backend, int batch = 16, ImageTransform? transform = null, ImageLimits? limits = null) =>
        new(folder, backend, ClipPreprocessor.Load(folder, transform, limits), batch);

    /// <summary>Encodes up to <see cref="Batch"/> pictures.</summary>
    /// <param name="paths">Picture files.</param>
    /// <param name="destination">(paths, N, V), row by row</param>
    /// <exception cref="DvpException">A file is missing or no picture.</exception>
    public void Encode(IReadOnlyList<string> paths, Span<float> destination)
    {
        if (paths.Count > Batch)
        {
            throw new ArgumentException($"At most {Batch} pictures a pass, {paths.Count} given.", nameof(paths));
        }

        Preprocessor.Preprocess(paths, _host.AsMemory(0, paths.Count * Preprocessor.OutputLength), Environment.ProcessorCount);
        _backend.Upload(_pixels.Value, _host);
        _forward!.Run();
        Tensor tokens = new(_tokens.Value.Buffer, _tokens.Value.ByteOffset, _tokens.Value.Type, [paths.Count, Tokens, Channels]);
        _backend.Download(destination[..(int)tokens.Count], tokens);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _forward?.Dispose();
        _arena.Dispose();
        _parameters.Dispose();
        foreach (Arena arena in _layerArenas)
        {
            arena.Dispose();
        }
    }
}
