"""Opens the device for a program without rights: handed.py OWN6 OWN4 THEIRS6 THEIRS4 PROGRAM NAME

Its addresses and routes are set here, as an administrator would; the program gets it as standard error.
"""

import fcntl
import os
import struct
import subprocess
import sys

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
TUN, NO_PI, VNET_HDR = 0x0001, 0x1000, 0x4000
CSUM, TSO4, TSO6 = 1, 2, 4

own6, own4, theirs6, theirs4, program, name = sys.argv[1:]
device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"freehold0", TUN | NO_PI | VNET_HDR))
fcntl.ioctl(device, TUNSETOFFLOAD, CSUM | TSO4 | TSO6)
for line in (
    "link set freehold0 mtu 1400 up",
    f"-6 addr add {own6}/128 dev freehold0 nodad preferred_lft 0",
    f"addr add {own4}/32 dev lo",
    f"-6 route add {theirs6}/128 dev freehold0 src {own6}",
    f"route add {theirs4}/32 dev freehold0 src {own4}",
):
    subprocess.run(["ip", *line.split()], check=True)
os.dup2(device, 2)
os.execvp("setpriv", ["setpriv", "--bounding-set=-all", "--inh-caps=-all", program, name, "handed"])
