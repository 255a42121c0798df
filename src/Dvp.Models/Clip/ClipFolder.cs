using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.Clip;

/// <summary>Opens the vision tower of a Hugging Face folder: a CLIP vision model, or a whole CLIP model whose text tower is passed over.</summary>
public static class ClipFolder
{
    /// <summary>Loads the tower, frozen.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="parameters">Receives the parameters.</param>
    /// <param name="matrices">Type in which matrices are kept; null for the device's own choice.</param>
    /// <exception cref="DvpException">Configuration or weights are missing, damaged or do not fit each other.</exception>
    public static ClipVisionModel Load(string path, ParameterSet parameters, ElementType? matrices = null)
    {
        ClipVisionConfig config = ClipVisionConfig.Load(path);
        using WeightFiles files = WeightFiles.Open(path);
        CheckpointValues values = new(new TensorSource(
            files, null, ["text_model.*", "text_projection.*", "logit_scale", "vision_model.embeddings.position_ids"]));
        ParameterBuilder builder = new(parameters, values, _ => false) { FrozenMatrixType = matrices };
        ClipVisionModel model = new(config, builder);
        values.Finish(builder.Missing);
        return model;
    }

    /// <summary>A number for configuration and weights that features and a trained DVP are tied to.</summary>
    public static string Fingerprint(string path) => Engine.IO.Fingerprint.OfModel(path);
}
