using Dvp.Evaluation;
using Dvp.Reporting;
using Dvp.Search;
using Dvp.Training;

namespace Dvp.Experiments;

/// <summary>What a layer search did, in the form that reports show.</summary>
public static class SearchSummary
{
    /// <summary>Preferences, rewards and scores by layer, and whether the choice is beyond chance.</summary>
    /// <param name="search">The search after its last step.</param>
    /// <param name="state">The run that it was part of.</param>
    /// <param name="layer">The layer that was chosen.</param>
    public static SearchReport Of(ILayerSearch search, RunState state, int layer)
    {
        SearchStep[] steps = [.. state.Arms.Zip(state.Scores, (arms, scores) => new SearchStep(arms, scores))];
        double largest = search.Preferences.Max();
        double sum = search.Preferences.Sum(a => Math.Exp(a - largest));
        List<LayerReward> rewards = [];
        for (int l = 0; l < search.Layers; l++)
        {
            (double score, double reward, int draws) = (0, 0, 0);
            foreach (SearchStep step in steps)
            {
                double mean = step.Scores.Average();
                for (int j = 0; j < step.Layers.Count; j++)
                {
                    if (step.Layers[j] == l)
                    {
                        (score, reward, draws) = (score + step.Scores[j], reward + step.Scores[j] - mean, draws + 1);
                    }
                }
            }

            rewards.Add(new LayerReward(
                l, draws, reward / Math.Max(1, draws), score / Math.Max(1, draws), Math.Exp(search.Preferences[l] - largest) / sum));
        }

        // The test of chance is on the preferences' own walk, which the other strategies do not have.
        SearchEvidence? evidence = search is KabApp ? BeyondChance.Search(steps, search.Layers) : null;
        return new SearchReport
        {
            Algorithm = search.Name,
            Layer = layer,
            Preferences = [.. state.Preferences.Select((alpha, i) => new PreferencePoint(i + 1, alpha))],
            Rewards = rewards,
            BeyondChance = evidence?.IsBeyondChance,
            Finding = evidence?.Sentence,
        };
    }
}
