#!/bin/sh
# The guest's first process: what the story types comes on the second serial line, in base64, and what came of it goes
# back the same way.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
# The story says at boot which machine this is.
for word in $(cat /proc/cmdline); do
    case $word in address=*) address=${word#address=} ;; host=*) host=${word#host=} ;; esac
done
echo "$host" | tee /etc/hostname >/proc/sys/kernel/hostname
modprobe virtio_blk
modprobe virtio_net
modprobe tun
modprobe zfs
ip link set lo up
ip link set eth0 up
test -z "${address:-}" || ip address add "$address/24" dev eth0
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo ready >&3
while read -r line <&3; do
    echo "$line" | base64 -d >/tmp/typed
    sh /tmp/typed >/tmp/said 2>&1 </dev/null 3<&-
    code=$?
    echo "$code $(base64 -w 0 /tmp/said)" >&3
done
