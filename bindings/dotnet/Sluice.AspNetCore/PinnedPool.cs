// SPDX-License-Identifier: MIT
using System;
using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Sluice.AspNetCore;

/// <summary>Blocks that never move, so that nothing has to be pinned to be sent.</summary>
internal sealed class PinnedPool : MemoryPool<byte>
{
    public const int BlockBytes = 4096;

    private const int Kept = 16384;

    private readonly ConcurrentQueue<Block> _free = new();

    public static readonly PinnedPool Instance = new();

    private sealed class Block(PinnedPool pool) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } =
            MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(BlockBytes, pinned: true), 0, BlockBytes);

        public void Dispose()
        {
            if (pool._free.Count < Kept)
                pool._free.Enqueue(this);
        }
    }

    private sealed class Large(int bytes) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } =
            MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(bytes, pinned: true), 0, bytes);

        public void Dispose()
        {
        }
    }

    /* Or a pipe takes more than a block from elsewhere, where it may move. */
    public override int MaxBufferSize => int.MaxValue;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        if (minBufferSize > BlockBytes)
            return new Large(minBufferSize);
        return _free.TryDequeue(out Block? block) ? block : new Block(this);
    }

    protected override void Dispose(bool disposing)
    {
    }
}
