// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Sluice;

/// <summary>
/// Objects by the number that native code holds as its token. Numbers are given again; 0 is none.
/// What is found by a number needs no handle of the garbage collector.
/// </summary>
internal sealed class Table<T> where T : class
{
    private struct Slot
    {
        public T? Item;
    }

    private readonly Lock _lock = new();
    private readonly Stack<int> _free = new();
    private Slot[] _slots = new Slot[256];
    private int _used = 1;

    public T this[nint index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Volatile.Read(ref _slots)[index].Item!;
    }

    public int Add(T item)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out int index))
            {
                if (_used == _slots.Length)
                {
                    var larger = new Slot[_used * 2];

                    Array.Copy(_slots, larger, _used);
                    Volatile.Write(ref _slots, larger);
                }
                index = _used++;
            }
            _slots[index].Item = item;
            return index;
        }
    }

    public void Remove(int index)
    {
        lock (_lock)
        {
            _slots[index].Item = null;
            _free.Push(index);
        }
    }
}

/// <summary>Objects that are used again.</summary>
internal sealed class Pool<T> where T : class
{
    private readonly Lock _lock = new();
    private T?[] _items = new T?[64];
    private int _count;

    public T? Take()
    {
        lock (_lock)
        {
            if (_count == 0)
                return null;
            T? item = _items[--_count];

            _items[_count] = null;
            return item;
        }
    }

    public void Give(T item)
    {
        lock (_lock)
        {
            if (_count == _items.Length)
                Array.Resize(ref _items, _count * 2);
            _items[_count++] = item;
        }
    }
}
