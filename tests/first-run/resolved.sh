#!/bin/sh
# Starts a D-Bus, polkit and systemd-resolved on a machine of `systemd.sh`. $1: systemd-resolved.
set -e
mkdir -p /run/dbus /run/polkit-1
# Resolved changes to a user of its own, who is root here.
echo 'systemd-resolve:x:0:0::/:/bin/false' >> /etc/passwd
echo 'systemd-resolve:x:0:' >> /etc/group
cat > /run/bus.conf <<'X'
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
X
# What polkit is asked about comes with it.
mkdir /run/actions
cp /usr/share/polkit-1/actions/* "$(dirname "$1")"/../../usr/share/polkit-1/actions/* /run/actions/
mount --bind /run/actions /usr/share/polkit-1/actions
dbus-daemon --config-file=/run/bus.conf --fork > /srv/bus.log 2>&1
nohup /usr/lib/polkit-1/polkitd --no-debug > /srv/polkit.log 2>&1 < /dev/null &
nohup "$1" > /srv/resolved.log 2>&1 < /dev/null &
# The link's name server is asked through it alone.
echo 'nameserver 127.0.0.53' > /etc/resolv.conf
# On a machine of its own the bus would start it for whoever asks.
for _ in $(seq 200); do
    if dbus-send --system --print-reply --dest=org.freedesktop.PolicyKit1 / org.freedesktop.DBus.Peer.Ping; then exit 0; fi
    sleep 0.1
done
exit 1
