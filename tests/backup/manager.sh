#!/bin/sh
# Starts a D-Bus and a NetworkManager with one line for this namespace, whose end is their end, and has it say of the line
# what stands in the file `metered`. $1: a folder for them; $2: where NetworkManager was unpacked.
set -e
cd "$1"
exec > log 2>&1
# Without udev a device is taken as it is only where nobody could tell of it, as in a container.
mount -t sysfs -o ro sysfs /sys
# What it keeps of its own is nobody's afterwards.
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p lines state none
cat > bus.conf <<X
<busconfig><type>system</type><listen>unix:path=$1/bus</listen>
<auth>EXTERNAL</auth><policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
X
cat > manager.conf <<X
[main]
plugins=keyfile
auth-polkit=false
dhcp=internal
dns=none
[keyfile]
path=$1/lines
[connectivity]
enabled=false
[device]
managed=true
X
cat > lines/line.nmconnection <<X
[connection]
id=line
type=ethernet
interface-name=line0
[ipv4]
method=manual
address1=10.7.0.2/24,10.7.0.1
[ipv6]
method=disabled
X
chmod 600 lines/line.nmconnection
dbus-daemon --config-file=bus.conf --fork
export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$1/bus"
ip link set lo up
ip link add line0 type veth peer name other0
ip link set other0 up
libraries=$(dirname "$(find "$2" -name 'libnm.so.0')")
LD_LIBRARY_PATH=$libraries "$2/usr/sbin/NetworkManager" --no-daemon --config manager.conf --config-dir none \
    --system-config-dir none --intern-config state/intern --state-file state/state --pid-file state/pid &
told=
while true; do
    wanted=$(cat metered 2>/dev/null || true)
    if [ -n "$wanted" ] && [ "$wanted" != "$told" ]; then
        if LD_LIBRARY_PATH=$libraries "$2/usr/bin/nmcli" connection modify line connection.metered "$wanted" \
            && LD_LIBRARY_PATH=$libraries "$2/usr/bin/nmcli" device reapply line0; then
            told=$wanted
        fi
    fi
    answer=$(busctl --system --auto-start=no --timeout=2 get-property org.freedesktop.NetworkManager \
        /org/freedesktop/NetworkManager org.freedesktop.NetworkManager Metered || true)
    case "$answer" in
        "u 1") echo yes > saying ;;
        "u 2") echo no > saying ;;
        *) echo "unknown: $answer" > saying ;;
    esac
    mv saying said
    sleep 0.2
done
