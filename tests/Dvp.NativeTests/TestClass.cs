using System.Globalization;
using System.Reflection;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

namespace Dvp.NativeTests;

/// <summary>A test with its arguments.</summary>
/// <param name="Method">The test.</param>
/// <param name="Arguments">One for each parameter.</param>
internal sealed record TestCase(MethodInfo Method, object?[] Arguments)
{
    /// <summary>As the test platform shows it: class, method, and the arguments by name.</summary>
    public string Name
    {
        get
        {
            string shown = string.Join(", ", Method.GetParameters().Zip(Arguments, (p, a) => $"{p.Name}: {Shown(a)}"));
            return $"{Method.ReflectedType!.FullName}.{Method.Name}{(Arguments.Length == 0 ? "" : $"({shown})")}";
        }
    }

    private static string Shown(object? value) => value switch
    {
        null => "null",
        string text => $"\"{text}\"",
        Array array => $"[{string.Join(", ", array.Cast<object?>().Select(Shown))}]",
        _ => FormattableString.Invariant($"{value}"),
    };
}

/// <summary>A class of tests as xunit.net's attributes describe it: facts, theories with their data, fixtures that its tests share.</summary>
internal sealed class TestClass(Type type)
{
    /// <summary>The class.</summary>
    public Type Type => type;

    /// <summary>The classes of an assembly that have tests, by name.</summary>
    public static TestClass[] In(Assembly assembly) =>
    [
        .. assembly.GetTypes()
            .Where(t => t is { IsClass: true, IsAbstract: false } && (t.IsPublic || t.IsNestedPublic) && TestsOf(t).Any())
            .OrderBy(t => t.FullName, StringComparer.Ordinal).Select(t => new TestClass(t)),
    ];

    private ConstructorInfo Constructor => type.GetConstructors().Single();

    /// <summary>All tests of the class, a theory once for each row of its data.</summary>
    public IEnumerable<TestCase> Cases() => TestsOf(type).SelectMany(CasesOf);

    /// <summary>The fixtures that the class asks for, made anew. Its constructor names them: IClassFixture, which nothing calls, is trimmed away.</summary>
    public object[] MakeFixtures() =>
        [.. Constructor.GetParameters().Where(p => p.ParameterType != typeof(ITestOutputHelper)).Select(p => Activator.CreateInstance(p.ParameterType)!)];

    /// <summary>Runs one case on an object of its own; throws what it throws.</summary>
    /// <param name="test">The case.</param>
    /// <param name="fixtures">What the constructor may ask for.</param>
    public void Run(TestCase test, object[] fixtures)
    {
        foreach (BeforeAfterTestAttribute before in type.GetCustomAttributes<BeforeAfterTestAttribute>(true)
            .Concat(test.Method.GetCustomAttributes<BeforeAfterTestAttribute>(true)))
        {
            before.Before(test.Method, null!); // requirements, which do not look at the test
        }

        object? instance = test.Method.IsStatic ? null : Make(fixtures);
        try
        {
            object? result = test.Method.Invoke(instance, BindingFlags.DoNotWrapExceptions, null, test.Arguments, null);
            (result as Task ?? (result as ValueTask?)?.AsTask())?.GetAwaiter().GetResult();
        }
        finally
        {
            (instance as IDisposable)?.Dispose();
        }
    }

    private static IEnumerable<MethodInfo> TestsOf(Type type) =>
        type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static)
            .Where(m => m.GetCustomAttributes(true).Any(a => a is IFactAttribute)).OrderBy(m => m.Name, StringComparer.Ordinal);

    private static IEnumerable<TestCase> CasesOf(MethodInfo method)
    {
        if (!method.GetCustomAttributes(true).Any(a => a is ITheoryAttribute))
        {
            return [new TestCase(method, [])];
        }

        DisposalTracker owned = new(); // by the process: arguments live as long as the run
        IDataAttribute[] sources = [.. method.GetCustomAttributes(true).OfType<IDataAttribute>()];
        foreach (ITypeAwareDataAttribute source in sources.OfType<ITypeAwareDataAttribute>())
        {
            source.MemberType ??= method.ReflectedType; // whose member gives the data, which may be a class above it
        }

        return sources
            .SelectMany(d => d.GetData(method, owned).AsTask().GetAwaiter().GetResult())
            .Select(row => new TestCase(method, Fitted(method.GetParameters(), row.GetData())));
    }

    /// <summary>Arguments in the parameters' types: numbers converted, the last ones gathered where the method takes any number.</summary>
    private static object?[] Fitted(ParameterInfo[] parameters, object?[] data)
    {
        object?[] arguments = new object?[parameters.Length];
        for (int i = 0; i < arguments.Length; i++)
        {
            Type wanted = parameters[i].ParameterType;
            if (i == arguments.Length - 1 && parameters[i].IsDefined(typeof(ParamArrayAttribute)) && !(data.Length == i + 1 && wanted.IsInstanceOfType(data[i])))
            {
                Array rest = Array.CreateInstanceFromArrayType(wanted, Math.Max(0, data.Length - i));
                Array.Copy(data, i, rest, 0, rest.Length);
                arguments[i] = rest;
            }
            else
            {
                object? value = i < data.Length ? data[i] : parameters[i].DefaultValue;
                arguments[i] = value is IConvertible && !wanted.IsInstanceOfType(value) && (Nullable.GetUnderlyingType(wanted) ?? wanted) is { IsEnum: false } plain
                    ? Convert.ChangeType(value, plain, CultureInfo.InvariantCulture)
                    : value;
            }
        }

        return arguments;
    }

    private object Make(object[] fixtures) => Constructor.Invoke(
        BindingFlags.DoNotWrapExceptions, null,
        [.. Constructor.GetParameters().Select(p => p.ParameterType == typeof(ITestOutputHelper) ? new NoOutput() : fixtures.Single(p.ParameterType.IsInstanceOfType))],
        null);

    /// <summary>Figures that tests write for people; a run that only passes or fails drops them.</summary>
    private sealed class NoOutput : ITestOutputHelper
    {
        public string Output => "";

        public void Write(string message)
        {
        }

        public void Write(string format, params object[] args)
        {
        }

        public void WriteLine(string message)
        {
        }

        public void WriteLine(string format, params object[] args)
        {
        }
    }
}
