# Makes the guest of the ZFS story in the current folder, from packages of Debian trixie: `kernel` and `initrd`. Debian
# has OpenZFS as source, which is built for the guest's kernel. Needs root.
set -eu
. /etc/os-release
mkdir -p sources
for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    test ! -f "$list" || cp "$list" sources/
done
# This machine's own mirror, for the other release and with the part that has ZFS in it.
mirror=$(cat sources/* | sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' | head -1)
bootstrap() {
    folder=$1
    shift
    test ! -e "$folder.done" || return 0
    rm -rf "$folder"
    nice -n 15 mmdebstrap --quiet --variant=minbase --components=main,contrib --aptopt='APT::Sandbox::User "root"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "$@" trixie "$folder" "$mirror"
    touch "$folder.done"
}
MAKEFLAGS=-j1 bootstrap building --include=linux-image-cloud-amd64,linux-headers-cloud-amd64,dkms,zfs-dkms,kmod
bootstrap guest --include=zfsutils-linux,kmod,iproute2
release=$(ls building/usr/lib/modules)
into=guest/usr/lib/modules/$release
mkdir -p "$into/kernel/drivers" "$into/kernel/net"
for part in modules.order modules.builtin modules.builtin.modinfo updates kernel/drivers/block kernel/drivers/net \
    kernel/net/core kernel/lib kernel/crypto; do
    test ! -e "building/usr/lib/modules/$release/$part" ||
        cp -r "building/usr/lib/modules/$release/$part" "$into/$(dirname "$part")/"
done
chroot guest depmod "$release"
rm -rf guest/var/cache/apt guest/var/lib/apt/lists guest/boot
mkdir -p guest/boot
cp "building/boot/vmlinuz-$release" kernel
(cd guest && find . -mount | cpio --quiet -o -H newc) | zstd -q -3 -f -o initrd.new
mv initrd.new initrd
