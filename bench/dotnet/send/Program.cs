// SPDX-License-Identifier: MIT
// Does a load in one of .NET's ways, whenever a number of times comes on standard input; answers a
// line when the kernel has taken the last byte. The sockets are inherited, connected.
//
//   SluiceBench WAY RECORDS RECORD_BYTES HEADER_BYTES SHARED FILE_BYTES FILE_FD FD...
using System.Net.Sockets;

var way = args[0];
var numbers = args.Skip(1).Select(long.Parse).ToArray();
var load = new Load(
    Records: (int)numbers[0],
    RecordBytes: (int)numbers[1],
    HeaderBytes: (int)numbers[2],
    Shared: numbers[3] != 0,
    FileBytes: numbers[4],
    FileFd: (int)numbers[5],
    Sockets: numbers.Skip(6).Select(fd => new Socket(new SafeSocketHandle((nint)fd, true))).ToArray());

IWay run = way switch
{
    "send" => new SendEach(load),
    "list" => new SendLists(load),
    "begin" => new BeginSends(load),
    "packets" => new SendPackets(load),
    "file" => new SendFiles(load),
    _ => throw new ArgumentException(way),
};

Console.Out.WriteLine("ready");
Console.Out.Flush();
while (Console.In.ReadLine() is { } line)
{
    for (var times = long.Parse(line); times > 0; times--)
        run.Once();
    Console.Out.WriteLine("done");
    Console.Out.Flush();
}

record Load(
    int Records, int RecordBytes, int HeaderBytes, bool Shared, long FileBytes, int FileFd, Socket[] Sockets)
{
    public Socket SocketOf(int record) => Sockets[record % Sockets.Length];
}

interface IWay
{
    void Once();
}

// Counts what is pending, and lets one thread wait for all of it.
sealed class Pending
{
    private readonly ManualResetEventSlim nothing = new(true);
    private int count;

    public void Begin(int all)
    {
        nothing.Reset();
        Volatile.Write(ref count, all);
    }

    public void End()
    {
        if (Interlocked.Decrement(ref count) == 0)
            nothing.Set();
    }

    public void Wait() => nothing.Wait();
}
