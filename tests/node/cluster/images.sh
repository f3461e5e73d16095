# Images of one layer, for `ctr images import`.
images="$folder/images"
busybox=/bin/busybox
architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')

# Makes NAME.tar in $images: NAME FULL-NAME CONFIG PATH-IN-IMAGE=FILE ...
image() {
  local name=$1 full_name=$2 config=$3 item library
  local root="$images/$name.root" out="$images/$name.out"
  shift 3
  mkdir -p "$root" "$out/blobs/sha256"
  for item in "$@"; do
    install -D "${item#*=}" "$root${item%%=*}"
    for library in $(libraries "${item#*=}"); do install -D "$library" "$root$library"; done
  done
  tar -C "$root" --owner=0 --group=0 -cf "$out/layer" .
  local layer image manifest kind=application/vnd.oci.image
  layer=$(blob layer)
  echo '{"architecture":"'"$architecture"'","os":"linux","config":'"$config"',"rootfs":{"type":"layers","diff_ids":["sha256:'"$layer"'"]}}' >"$out/config"
  image=$(blob config)
  echo '{"schemaVersion":2,"mediaType":"'$kind.manifest.v1+json'",' \
    '"config":'"$(descriptor $kind.config.v1+json "$image")"',"layers":['"$(descriptor $kind.layer.v1.tar "$layer")"']}' >"$out/manifest"
  manifest=$(blob manifest)
  echo '{"schemaVersion":2,"mediaType":"'$kind.index.v1+json'","manifests":[' \
    "$(descriptor $kind.manifest.v1+json "$manifest" '"annotations":{"io.containerd.image.name":"'"$full_name"'"},')"']}' >"$out/index.json"
  echo '{"imageLayoutVersion":"1.0.0"}' >"$out/oci-layout"
  tar -C "$out" -cf "$images/$name.tar" .
  rm -rf "$root" "$out"
}

# What image() makes of a file: its name becomes its digest, which is said.
blob() {
  local digest
  digest=$(sha256sum "$out/$1" | cut -d' ' -f1)
  mv "$out/$1" "$out/blobs/sha256/$digest"
  echo "$digest"
}

# MEDIA-TYPE DIGEST [MORE]
descriptor() { echo '{'"${3:-}"'"mediaType":"'"$1"'","digest":"sha256:'"$2"'","size":'"$(stat -c %s "$out/blobs/sha256/$2")"'}'; }

# The shared libraries of a program, and the program that loads them.
libraries() { ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | sort -u; }

# What deploy/Containerfile says of the image of the product.
product_config() {
  local said="$here/../../../deploy/Containerfile"
  say() { sed '1,/^FROM scratch/d' "$said" | sed -n "s/^$1 //p"; }
  echo '{"User":"'"$(say USER)"'","Entrypoint":'"$(say ENTRYPOINT)"',"Cmd":'"$(say CMD)"',"ExposedPorts":{"'"$(say EXPOSE)"'/tcp":{}}}'
}
