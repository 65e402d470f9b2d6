// SPDX-License-Identifier: MIT
// Runs the tests, one after another, and prints TAP. A test is a public static method of a class whose name
// ends in Tests; its name is the promise.
//
//   Sluice.Tests [PART_OF_A_NAME...]     all of them, or those with one of these parts in their names
using System;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;
using Sluice.Tests;

MethodInfo[] tests = typeof(Check).Assembly.GetTypes()
    .Where(type => type.Name.EndsWith("Tests", StringComparison.Ordinal))
    .OrderBy(type => type.Name, StringComparer.Ordinal)
    .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly))
    .Where(test => args.Length == 0 || args.Any(part => test.Name.Contains(part)))
    .ToArray();
int failed = 0;

// What hangs is told, not waited for by those who run the tests.
TimeSpan limit = TimeSpan.FromSeconds(120);

Console.WriteLine($"1..{tests.Length}");
for (int i = 0; i < tests.Length; i++)
{
    Exception? failure = await Run(tests[i]);

    if (failure is SkipException)
    {
        Console.WriteLine($"ok {i + 1} - {tests[i].Name} # SKIP {failure.Message}");
        continue;
    }
    Console.WriteLine($"{(failure == null ? "ok" : "not ok")} {i + 1} - {tests[i].Name}");
    if (failure == null)
        continue;
    failed++;
    foreach (string line in failure.ToString().Split('\n'))
        Console.WriteLine($"# {line}");
}
Console.Out.Flush();
Environment.Exit(failed == 0 ? 0 : 1);

async Task<Exception?> Run(MethodInfo test)
{
    // A thread of its own: tests block, and the pool is part of what is tested.
    var ended = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
    var thread = new Thread(() =>
    {
        try
        {
            if (test.Invoke(null, null) is Task task)
                task.GetAwaiter().GetResult();
            ended.SetResult(null);
        }
        catch (TargetInvocationException exception)
        {
            ended.SetResult(exception.InnerException);
        }
        catch (Exception exception)
        {
            ended.SetResult(exception);
        }
    })
    { IsBackground = true };

    thread.Start();
    return await Task.WhenAny(ended.Task, Task.Delay(limit)) == ended.Task
        ? await ended.Task
        : new TimeoutException($"still running after {limit.TotalSeconds} s");
}
