// SPDX-License-Identifier: MIT
using System.Net.Sockets;

namespace Sluice;

/// <summary>Flags of sends beyond those of SocketFlags, in its place.</summary>
public static class SluiceFlags
{
    /// <summary>More follows at once: held back until then, 200 ms at most.</summary>
    public const SocketFlags More = (SocketFlags)0x10000;

    /// <summary>Tried at once, also inside a handler or a batch.</summary>
    public const SocketFlags Eager = (SocketFlags)0x20000;

    /// <summary>Queued, also outside of them.</summary>
    public const SocketFlags Batched = (SocketFlags)0x40000;
}
