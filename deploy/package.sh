#!/bin/sh
# Makes DIR/treasury-watcher-VERSION.tar.gz: everything an installation without a network needs, for the Pythons below
# on this machine's processor. The lock's hashes are checked here and again at the installation.
set -eu

out=${1:?"usage: package.sh DIR"}
python=${PYTHON:-python3}
pythons=${PYTHONS:-3.11 3.12 3.13}
root=$(cd "$(dirname "$0")/.." && pwd)
version=$("$python" -c 'import sys, tomllib
print(tomllib.load(open(sys.argv[1], "rb"))["project"]["version"])' "$root/pyproject.toml")
name=treasury-watcher-$version

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bundle=$scratch/$name
mkdir -p "$bundle/wheels" "$out"

pip() { "$python" -m pip --disable-pip-version-check "$@"; }

export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-315532800}" # 1980, the first year a zip file knows: same input, same bytes

for one in $pythons; do
	abi=cp$(echo "$one" | tr -d .)
	# Wheels for glibc 2.28 and older: Debian 10, RHEL 8 and whatever came after.
	set -- --python-version "$one" --implementation cp --abi "$abi" --abi abi3 --abi none --platform any
	for tag in manylinux_2_28 manylinux_2_17 manylinux2014; do
		set -- "$@" --platform "${tag}_$(uname -m)"
	done
	pip download --quiet --no-deps --prefer-binary --require-hashes \
		--requirement "$root/requirements.lock" --dest "$bundle/wheels" "$@"
done
cp "$root/requirements.lock" "$bundle/requirements.txt"

# What is published as source alone becomes a wheel here, and its hash joins those of the lock.
for source in "$bundle"/wheels/*.tar.gz; do
	[ -e "$source" ] || continue
	pip wheel --quiet --no-deps --wheel-dir "$scratch/built" "$source"
	rm "$source"
done
for wheel in "$scratch"/built/*.whl; do
	[ -e "$wheel" ] || continue
	case $wheel in
	*-none-any.whl) ;;
	*) echo "package.sh: no wheel for each of Python $pythons: $(basename "$wheel")" >&2 && exit 1 ;;
	esac
	release=$(basename "$wheel" | sed 's/^\([^-]*\)-\([^-]*\)-.*/\1==\2/')
	sed -i "s|^$release .*|&\n    --hash=sha256:$(sha256sum "$wheel" | cut -d' ' -f1) \\\\|" "$bundle/requirements.txt"
	mv "$wheel" "$bundle/wheels"
done

pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$bundle/wheels" "$root"
own=$(basename "$bundle"/wheels/treasury_watcher-*.whl)
echo "treasury-watcher==$version --hash=sha256:$(sha256sum "$bundle/wheels/$own" | cut -d' ' -f1)" \
	>>"$bundle/requirements.txt"
echo "$version" >"$bundle/VERSION"
cp "$root/deploy/install.sh" "$root/deploy/README.md" "$root/LICENSE" "$root/CHANGELOG.md" "$bundle"
cp -R "$root/deploy/systemd" "$root/config" "$bundle"
chmod -R u=rwX,go=rX "$bundle"

tar --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
	--directory "$scratch" "$name" | gzip -9n >"$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$out/$name.tar.gz"
