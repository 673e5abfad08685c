"""Each command's summary, as `mcroute --help` shows it."""

COMMANDS = {
    "check": "Check the configuration file CONFIG.",
    "demo": "Run four servers under load; one is killed and returns.",
    "explain": "Show the servers that a request goes to, in order.",
    "proxy": "Run the proxy configured by CONFIG.",
    "ring": "Show where keys are placed, and what a change moves.",
    "simulate": "Show what a fault does to CONFIG, on a simulated network.",
    "top": "Show a running proxy's servers and clients, live.",
}
