// SPDX-License-Identifier: MIT
using System;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice;

/// <summary>
/// A struct sluice_socket and a count of the calls that use it: destroy must not run beside them. The
/// engine's thread does not count, because it destroys.
/// </summary>
internal sealed unsafe class SocketHandle
{
    private static readonly Table<SocketHandle> s_tokens = new();

    public readonly SluiceEngine Engine;
    public nint Native { get; }
    private int _users = 1; /* the owner, until it closes */
    private int _isClosed;
    private int _token;
    private TaskCompletionSource? _closed;
    private Action? _drained;

    public SocketHandle(SluiceEngine engine, int descriptor)
    {
        Engine = engine;
        Native = engine.Attach(this, descriptor);
    }

    public SocketHandle(SluiceEngine engine, nint native)
    {
        Engine = engine;
        Native = native;
        engine.Adopt(this);
    }

    public bool IsClosed => Volatile.Read(ref _isClosed) != 0;

    /// <summary>Whether the native handle may be used until Exit.</summary>
    public bool Enter()
    {
        if (Engine.IsCurrentThread)
            return Volatile.Read(ref _users) > 0;

        int users = Volatile.Read(ref _users);

        while (users > 0)
        {
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);

            if (seen == users)
                return true;
            users = seen;
        }
        return false;
    }

    public void Exit()
    {
        if (!Engine.IsCurrentThread && Interlocked.Decrement(ref _users) == 0)
            Engine.Destroy(this);
    }

    /// <summary>Closes the socket; the native handle goes when nobody uses it.</summary>
    public void Close()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return;
        if (Enter())
        {
            Sluice.Native.SocketClose(Native);
            Exit();
        }
        LeaveToEngine();
    }

    /// <summary>The same after the last queued byte.</summary>
    public void CloseGracefully(long timeoutNanoseconds)
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return;
        if (Enter())
        {
            Sluice.Native.SocketCloseGracefully(Native, timeoutNanoseconds);
            Exit();
        }
        /* Destroy would close at once: the handle goes when the descriptor is closed. */
        _ = WhenClosed().ContinueWith(static (_, state) => ((SocketHandle)state!).LeaveToEngine(), this,
            CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>Nobody has a reference to the socket any more: never waits.</summary>
    public void Finalized()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
            LeaveToEngine();
    }

    private void LeaveToEngine()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            Engine.Destroy(this);
    }

    /// <summary>The engine ends. Returns when no call uses the handle.</summary>
    public void Abandon()
    {
        Volatile.Write(ref _isClosed, 1);
        if (Volatile.Read(ref _users) == 0)
            return;
        Sluice.Native.SocketClose(Native);

        var wait = new SpinWait();

        while (Interlocked.CompareExchange(ref _users, 0, 1) > 1)
            wait.SpinOnce();
    }

    /// <summary>The engine's thread: no event of the socket will be asked for again.</summary>
    public void DropEvents()
    {
        lock (this)
        {
            if (_closed == null && _token != 0)
                s_tokens.Remove(_token);
        }
    }

    // ---- events ----

    private nint Token()
    {
        if (_token == 0)
            _token = s_tokens.Add(this);
        return _token;
    }

    /// <summary>Ends when the descriptor is closed. To be called once before the close, or by it.</summary>
    public Task WhenClosed()
    {
        lock (this)
        {
            if (_closed != null)
                return _closed.Task;
            _closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

            int answer = -Errno.EBADF;

            if (Enter())
            {
                answer = Sluice.Native.SocketSetClosed(Native, &OnClosed, Token());
                Exit();
            }
            if (answer < 0)
                _closed.SetResult();
            return _closed.Task;
        }
    }

    [UnmanagedCallersOnly]
    private static void OnClosed(nint native, nint token)
    {
        SocketHandle socket = s_tokens[token];

        s_tokens.Remove((int)token);
        socket._closed!.TrySetResult();
    }

    /// <summary>The engine's thread.</summary>
    public void OnceDrained(Action drained)
    {
        lock (this)
        {
            _drained = drained;
            Sluice.Native.SocketSetDrained(Native, &OnDrained, Token());
        }
    }

    [UnmanagedCallersOnly]
    private static void OnDrained(nint native, nint token)
    {
        try
        {
            /* The socket may be gone, and its number another's, which looks for itself. */
            s_tokens[token]?._drained?.Invoke();
        }
        catch (Exception exception)
        {
            Unhandled.Throw(exception);
        }
    }
}
