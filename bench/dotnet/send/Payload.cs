// SPDX-License-Identifier: MIT
using System.Runtime.InteropServices;

// The memory of all records, as the peers in C have it (side_payload): in one piece from a page's
// begin on, the headers behind the bodies, and written. Pages that nobody has written are all the
// same page of zeros, which the kernel copies from the processor's cache.
sealed class Payload
{
    private const int PageBytes = 4096;

    private readonly Load load;
    private readonly byte[] memory;
    private readonly int start;
    private readonly int places;

    public Payload(Load load)
    {
        this.load = load;
        places = load.Shared ? 1 : load.Records;
        memory = GC.AllocateUninitializedArray<byte>(places * load.RecordBytes + PageBytes, pinned: true);
        memory.AsSpan().Clear();
        start = PageBytes - (int)(Marshal.UnsafeAddrOfPinnedArrayElement(memory, 0) % PageBytes);
    }

    private int BodyBytes => load.RecordBytes - load.HeaderBytes;

    private int Place(int record) => load.Shared ? 0 : record;

    public ArraySegment<byte> Body(int record) => new(memory, start + Place(record) * BodyBytes, BodyBytes);

    public ArraySegment<byte> Header(int record) =>
        new(memory, start + places * BodyBytes + Place(record) * load.HeaderBytes, load.HeaderBytes);
}
