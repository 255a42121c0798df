namespace Dvp.Search;

/// <summary>
/// A way to find the layer K that the prompt enters before. The layers are the arms of a bandit; their scores are noisy because each
/// comes from one mini-batch.
/// </summary>
/// <remarks>
/// One step is <see cref="Draw"/>, scoring of the arms drawn, <see cref="Update"/>. A state is saved and restored between steps;
/// after that the search goes on bit for bit as it would have without the stop. Not thread-safe.
/// </remarks>
public interface ILayerSearch
{
    /// <summary>The name that <see cref="LayerSearches.Create"/> knows, such as <c>kab-app</c>.</summary>
    string Name { get; }

    /// <summary>L, the number of layers to choose from.</summary>
    int Layers { get; }

    /// <summary>Steps taken so far.</summary>
    int Steps { get; }

    /// <summary>Whether further scores can no longer change <see cref="Best"/>.</summary>
    bool Finished { get; }

    /// <summary>The layer that the search would choose now; of equals the lowest.</summary>
    int Best { get; }

    /// <summary>(L) what the choice rests on, the larger the better: KAB-APP's alpha, a mean score for the others.</summary>
    double[] Preferences { get; }

    /// <summary>The layers to score in this step, in order. KAB-APP may name a layer more than once.</summary>
    int[] Draw();

    /// <summary>Takes the scores of the layers of the last <see cref="Draw"/>.</summary>
    /// <param name="arms">The layers, as drawn.</param>
    /// <param name="scores">One score a layer, in percent; the larger the better.</param>
    /// <exception cref="ArgumentException">The lists differ in length or are empty, a layer is outside [0, L), or a score is not
    /// finite.</exception>
    void Update(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores);

    /// <summary>Everything that the next step depends on.</summary>
    SearchState Save();

    /// <summary>Goes on from a saved state.</summary>
    /// <param name="state">From <see cref="Save"/> of a search with the same name, layers and settings.</param>
    /// <exception cref="Dvp.Engine.DvpException">The state is of another search.</exception>
    void Restore(SearchState state);
}
