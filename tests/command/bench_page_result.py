#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints a result of `sluice bench` with everything that a page can show, long and odd names too."""
import json

PEERS = ["sluice", "sluice-epoll", "gather", "send", "libuv", "asio-epoll", "asio-uring",
         "ring-naive", "ring", "dotnet-send", "dotnet-list", "a-peer-with-a-very-long-name-"]
# A complete run has more peers than there are colors that can be told apart.
PEERS += [f"peer-{number}" for number in range(len(PEERS), 36)]


# If the page did not escape it, a browser would fetch it.
EVIL = "<img src=//x>\"'&"


def metric(base, rounds=10):
    return {"samples_ns": [int(base * (1 + i % 5 / 20)) for i in range(rounds)]}


def peer(place, name, cost, latency):
    result = {"name": name, "title": f"{name} <&\"'> each", "operations_per_sample": 100,
              "wall": metric(100 * cost), "cpu": metric(90 * cost)}
    if place % 3 == 1:
        result.update(aim=1.02, system_calls=0.03125, note="the kernel copied what it sent")
    if latency:
        result["p99"] = metric(30 * cost)
        result["p999"] = metric(60 * cost)
        result.update(aim=0.9, latency_aim=1)
        result["latency"] = [[percent, cost * (1 + place) * power]
                             for power, percent in enumerate((0, 50, 90, 99, 99.9, 99.99), 1)]
    if name == "sluice" or place % 4 == 2:
        result["peak_bytes"] = 12.4e6 + place
    if name == "sluice":
        result["peak_aim"] = 20e6
    return result


def scenario(name, title, factor, family=None, x=0, latency=False):
    result = {"name": name, "title": title, "unit": EVIL, "receiver": f"x{EVIL}",
              "headline": "cpu" if latency else "wall", "judged": ["wall", "cpu"],
              "peers": [peer(place, peer_name, factor * (1 + place), latency)
                        for place, peer_name in enumerate(PEERS)],
              "missing": [{"name": "nginx", "reason": "it is not installed here: "
                           "averyveryverylongwordthatnobodywouldeverbreakinthemiddle" * 2}]}
    if family:
        result.update(family=family, x=x)
    return result


def main():
    scenarios = [scenario(f"records-{x}", f"64 B, one socket, {x} outstanding", 2000 / x, "batch", x)
                 for x in (1, 8, 32, 512)]
    scenarios += [scenario(f"sockets-{x}", f"64 B, one for each of {x} sockets", 1000 + x / 5,
                           "sockets", x) for x in (64, 1000, 10000)]
    scenarios += [scenario(f"file-{x}", f"a file of {x} KiB", 100 * x, "file", x)
                  for x in (1, 64, 1024, 65536)]
    scenarios.append(scenario(f"odd {EVIL}", f"odd {EVIL}", 1000))
    scenarios.append(scenario("echo-64", "a question and its answer", 4000, latency=True))
    print(json.dumps({
        "sluice_bench": 1,
        "conditions": {"date": "2026-01-01T00:00:00Z", "kernel": "6.18.0-rc1-with-a-long-name",
                       "cpu": "A processor with a long name @ 2.00GHz", "cpus": "2",
                       "backend": "uring", "sluice": "0.1.0", "load_before": "9.5", EVIL: EVIL,
                       "capabilities": "ring " + "single-issuer-defer-taskrun-" * 8},
        "method": {"sessions": 2, "rounds": 5, "slice_ns": 8e6, "nap_us": 0, "against_itself": 0},
        "scenarios": scenarios,
        "missing": [{"name": f"engines {EVIL}", "reason": f"one core {EVIL}"}],
    }))


if __name__ == "__main__":
    main()
