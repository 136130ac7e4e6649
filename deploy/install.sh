#!/bin/sh
# Installs or upgrades Treasury Watcher, without a network, on a machine with systemd and Python 3.11 or newer; run
# again, it changes nothing. `--uninstall` removes all but what the daemon wrote.
#
#   /opt/treasury-watcher/VERSION-BUILD   the program; `current` points to one, and the one before is kept
#   /usr/local/bin/treasury-watcher       the command
#   /etc/treasury-watcher                 your config (root and the group read it), credentials/ (root reads it)
#   /etc/systemd/system, /etc/sysusers.d  the unit, the backup's unit and timer; the user
#   /var/lib/treasury-watcher             the ledger: made by the daemon, never touched from here
set -eu

name=treasury-watcher
opt=/opt/$name etc=/etc/$name state=/var/lib/$name command=/usr/local/bin/$name
units=/etc/systemd/system sysusers=/etc/sysusers.d/$name.conf
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

uninstall() {
	kept=$state/config-$(date -u +%Y-%m-%dT%H-%M-%SZ)
	[ ! -d $etc ] || { mkdir -p $state && mv $etc "$kept" && echo "Your config and its credentials are in $kept."; }
	for unit in $name.service $name-backup.timer $name-backup.service; do
		systemctl disable --quiet --now $unit 2>/dev/null || true
		rm -f "$units/$unit"
		[ ! -d "$units/$unit.d" ] || { mkdir -p "$kept" && mv "$units/$unit.d" "$kept"; }
	done
	systemctl daemon-reload
	rm -rf "${opt:?}" "$command" "$sysusers"
	rmdir --ignore-fail-on-non-empty "$(dirname $sysusers)"
	echo "Left: $state, $name's backups in $state-backup if there are any, and the user $name who owns them."
}

# The program, complete or not there: pip runs from its own wheel, so that no package but python3 is needed.
install_program() {
	[ -e "$opt/$release/complete" ] && return
	rm -rf "${opt:?}/$release"
	"$python" -m venv --without-pip "$opt/$release"
	"$opt/$release/bin/python" "$(echo "$here"/wheels/pip-*.whl)/pip" --quiet --disable-pip-version-check install \
		--no-cache-dir --no-index --find-links "$here/wheels" --require-hashes --requirement "$here/requirements.txt"
	cp -R "$here/systemd" "$here/README.md" "$opt/$release"
	touch "$opt/$release/complete"
}

install_config() {
	install -D -m 0644 "$here/systemd/$name.sysusers" $sysusers
	systemd-sysusers $sysusers
	install -d -m 0750 -g $name $etc
	install -d -m 0700 $etc/credentials
	[ -e $etc/watcher.toml ] && return
	sed "s|^# state_directory = |state_directory = |" "$here/config/watcher.toml" >$etc/watcher.toml.new
	chown root:$name $etc/watcher.toml.new
	chmod 0640 $etc/watcher.toml.new
	mv $etc/watcher.toml.new $etc/watcher.toml
}

install_units() {
	for unit in $name.service $name-backup.service $name-backup.timer; do
		install -m 0644 "$here/systemd/$unit" $units/$unit
	done
	systemctl daemon-reload
	systemctl enable --quiet $name.service
}

remove_older() {
	for old in "$opt"/*/; do
		case $(basename "$old") in
		current | "$release" | "$before") ;;
		*) rm -rf "$old" ;;
		esac
	done
}

[ "$(id -u)" = 0 ] || fail "run it as root"
command -v systemctl >/dev/null || fail "this machine has no systemd: see README.md for a bare installation"
case ${1:-} in
--uninstall) uninstall && exit ;;
"") ;;
*) fail "usage: install.sh [--uninstall]" ;;
esac
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed (PYTHON=…)"

release=$(cat "$here/VERSION")-$(sha256sum "$here/requirements.txt" | cut -c1-8)
before=$(readlink $opt/current || true)
umask 022
install -d -m 0755 $opt
install_program
install_config
# What refuses the present config must not take the place of what runs with it.
"$opt/$release/bin/$name" check >/dev/null || fail "nothing was changed: $release refuses $etc/watcher.toml"
[ "$before" = "$release" ] || { ln -sfn "$release" $opt/next && mv -T $opt/next $opt/current; }
ln -sfn $opt/current/bin/$name $command
install_units
if systemctl is-active --quiet $name && [ "$before" != "$release" ]; then
	systemctl restart $name || fail "$release does not start: journalctl -u $name; $opt/$before is the one before"
fi
[ "$before" = "$release" ] || remove_older

echo "$name $release is installed."
systemctl is-active --quiet $name || echo "Edit $etc/watcher.toml, try it with \`$name check\`, and: systemctl start $name"
