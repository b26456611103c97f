#!/bin/sh
# Run by rpi-image-gen before genimage: `pre-image.sh ROOT OUTPUT` fills in genimage.cfg.in and makes ROOT ready for it.
# What would be random comes from the image's name, so that the same version is the same card.
set -eu

root=$1
output=$2
here=$(dirname "$(readlink -f "$0")")

# uuid NAME: prints an UUID that is always the same for this name and image.
uuid() {
    echo "$IGconf_image_name $1" | sha256sum |
        sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-4\3-8\4-\5/'
}
disk=$(uuid card | cut -c 1-8)

# The state of a card that has never started; see overlay/etc/initramfs-tools/scripts/local-bottom/state.
mkdir -p "$root/state"
echo "Made when this image was built; removed when the card has started." >"$root/state/as-flashed"

sed -i "/^@BOOT@/s/@BOOT@/PARTUUID=$disk-01/" "$root/etc/fstab"

# The firmware takes these from the FAT partition; nothing needs them twice.
rm -f "$root"/boot/vmlinuz-* "$root"/boot/initrd.img-*

sed -e "s|@NAME@|$IGconf_image_name.$IGconf_image_suffix|g" \
    -e "s|@ROOT_SIZE@|$IGconf_image_root_part_size|g" \
    -e "s|@BOOT@|$here/boot $disk-02|g" \
    -e "s|@DISK@|0x$disk|g" \
    -e "s|@UUID_BOOT@|$(uuid boot | cut -c 1-8)|g" \
    -e "s|@UUID_A@|$(uuid root-a)|g" -e "s|@HASH_A@|$(uuid 'root-a hash')|g" \
    -e "s|@UUID_B@|$(uuid root-b)|g" -e "s|@HASH_B@|$(uuid 'root-b hash')|g" \
    -e "s|@UUID_STATE@|$(uuid state)|g" -e "s|@HASH_STATE@|$(uuid 'state hash')|g" \
    "$here/genimage.cfg.in" >"$output/genimage.cfg"
