"""English."""

from __future__ import annotations

from typing import Final

from watcher.delivery.texts.catalogue import Catalogue

ENGLISH: Final = Catalogue(
    severities={"info": "", "warning": "[WARNING] ", "critical": "[CRITICAL] "},
    flows={
        "inflow": "Inflow of {btc} to {treasury}",
        "outflow": "Outflow of {btc} from {treasury}",
        "internal": "Internal move of {btc} in {treasury}",
    },
    floods={
        "inflow": "{count} inflows to {treasury}, {btc} in all",
        "outflow": "{count} outflows from {treasury}, {btc} in all",
        "internal": "{count} internal moves in {treasury}, {btc} in all",
        "": "{count} times: {title}",
    },
    states={
        "tx.seen": "seen, not in a block yet",
        "tx.confirmed": "confirmed, {confirmations}",
        "tx.final": "final, {confirmations}",
        "tx.moved": "now in another block",
        "tx.unconfirmed": "TAKEN BACK, no longer in a block",
        "tx.replaced": "TAKEN BACK, replaced by another transaction",
        "tx.dropped": "TAKEN BACK, gone from the network",
        "tx.conflicted": "TAKEN BACK, its coins were spent otherwise",
        "tx.reclassified": "READ ANEW, the watch list changed",
    },
    titles={
        "chain.reorganized": "Reorganisation of the chain, depth {depth}",
        "watch.baselined": "{treasury}: first complete reading, {balance}",
        "watch.added": "{treasury}: watch list extended",
        "watch.removed": "{treasury}: {scripts} no longer watched, {delta} in the total",
        "watch.collided": "{treasury}: an address belongs to another treasury too",
        "watch.separated": "{treasury}: addresses no longer collide",
        "config.changed": "The configuration of the watcher changed: {changes}",
        "source.failed": "Source {source} fails: {reason}",
        "source.recovered": "Source {source} answers again",
        "source.disagreed": "Source {source} contradicts what is known: {reason}",
        "source.agreed": "Source {source} agrees again",
        "source.pinned": "Key of source {source} remembered",
        "treasury.stale": "{treasury}: NOT WATCHED reliably at present",
        "treasury.fresh": "{treasury}: watched again, without gaps",
        "balance.crossed": "{treasury}: balance {side} its limit",
        "balance.restored": "{treasury}: balance within its limit again",
        "claim.mismatched": "{treasury}: claim {claim} does not match the chain",
        "claim.matched": "{treasury}: claim {claim} matches the chain",
        "endpoint.failed": "Alerts do not reach endpoint {endpoint}",
        "endpoint.recovered": "Alerts reach endpoint {endpoint} again",
        "endpoint.paused": "Alerts to endpoint {endpoint} paused",
        "incident.noted": "Note on an incident",
        "movement.expected": "{treasury}: a movement was announced",
        "watcher.test": "Test message: no coin moved",
        "watcher.canary": "Canary: alerts arrive, no coin moved",
        "": "Event {type}",
    },
    meanings={
        "tx.seen": "The network knows a transaction that moves these coins. It is in no block yet: it can"
        " still be replaced or disappear.",
        "tx.confirmed": "The transaction is in a block of the chain.",
        "tx.final": "It has as many confirmations as this watcher asks for before it calls a transaction"
        " final.",
        "tx.moved": "A reorganisation of the chain put the transaction into another block. Nothing else"
        " changed.",
        "tx.unconfirmed": "A reorganisation of the chain took the transaction out of its block. What was told"
        " of it as confirmed no longer holds.",
        "tx.replaced": "Another unconfirmed transaction spends the same coins and took the place of this"
        " one. What was told of this one no longer holds; the other has a message of its own.",
        "tx.dropped": "No server that was asked knows this unconfirmed transaction any more. What was told"
        " of it no longer holds. It may come back: whoever has it can send it again.",
        "tx.conflicted": "A transaction in a block spends the same coins. This one can no longer confirm;"
        " what was told of it no longer holds.",
        "tx.reclassified": "No coin moved just now. The watch list changed, and this transaction, told"
        " otherwise before, now reads as in the title.",
        "chain.reorganized": "The newest blocks were displaced by a branch with more work. What changed for"
        " a treasury has a message of its own.",
        "watch.baselined": "Everything that the watched addresses held is known and in the total; from here"
        " on each change is told.",
        "watch.added": "Addresses entered the watch list. What they hold enters the total once they are"
        " read.",
        "watch.removed": "No coin moved: addresses left the watch list with what they hold. From now on"
        " nothing is told of them.",
        "watch.collided": "A wallet is used as far as addresses that another treasury has already. They"
        " count there alone.",
        "watch.separated": "The two lists have no address in common any more.",
        "config.changed": "Somebody changed what is watched, by which rules, or who is told.",
        "source.failed": "The server gives no usable answers. The other sources are asked meanwhile.",
        "source.recovered": "The server gives usable answers again.",
        "source.disagreed": "The server says something that a proof or the other servers contradict."
        " Nothing is lost: what is proven was kept.",
        "source.agreed": "The server no longer contradicts what is known.",
        "source.pinned": "The server's key was seen for the first time and is expected from now on.",
        "treasury.stale": "Too few servers have answered for too long. A movement may have gone unnoticed;"
        " the last known balance may be out of date.",
        "treasury.fresh": "Enough servers answer for every address. What happened meanwhile was read and"
        " told.",
        "balance.crossed": "The confirmed balance is beyond the limit that a rule sets.",
        "balance.restored": "The confirmed balance is back within the limit that a rule sets.",
        "claim.mismatched": "What somebody said is held is not what the watched addresses hold.",
        "claim.matched": "What somebody said is held is what the watched addresses hold.",
        "endpoint.failed": "A message was given up after many attempts, or the endpoint refused all further"
        " ones. They are kept and can be sent again.",
        "endpoint.recovered": "The endpoint accepts messages again.",
        "endpoint.paused": "Messages wait until the pause ends. None is lost.",
        "incident.noted": "Somebody added a remark to an incident you were told of.",
        "movement.expected": "Somebody announced a movement of coins. One that matches is still told, marked"
        " as expected.",
        "watcher.test": "Somebody asked for this message to see whether it arrives.",
        "watcher.canary": "This message goes through the whole watcher from time to time to show that"
        " alerts arrive.",
        "": "The watcher recorded this event.",
    },
    advice={
        "tx.seen.outflow": "If you did not expect it, ask everybody who can sign, now. While it is in no"
        " block, whoever holds the keys can still replace it by paying a higher fee. If it is your own move"
        " to new addresses, watcher suggest {incident} prints the lines that add them.",
        "outflow": "If nobody who can sign knows of it, treat the keys as stolen and move what is left to"
        " new keys. If it is your own move to new addresses, watcher suggest {incident} prints the lines"
        " that add them.",
        "tx.seen.inflow": "Do not count on it before it is final. Never copy an address to pay from a"
        " message: senders of dust imitate addresses.",
        "inflow": "Nothing, unless you did not expect it. Never copy an address to pay from a message:"
        " senders of dust imitate addresses.",
        "internal": "Nothing, if it was planned. It was signed with the keys: if nobody planned it, ask"
        " everybody who can sign.",
        "expected": "Check that it pays where it was announced to; if so, nothing more.",
        "tx.moved": "Nothing.",
        "tx.unconfirmed.inflow": "Treat this payment as not made until it confirms again, and hold back"
        " what you give for it.",
        "tx.unconfirmed": "Wait for the message that it is in a block again, or that another took its place.",
        "tx.replaced.outflow": "See where the other transaction pays to, and ask everybody who can sign,"
        " now. If none of you replaced it, somebody else has the keys: move everything to new keys.",
        "tx.replaced.inflow": "Do not count on this payment; see whether the other transaction still pays"
        " you.",
        "tx.replaced": "See where the other transaction pays to.",
        "tx.dropped.outflow": "The coins are where they were, but others have seen the signature and may"
        " send it again. If it was not yours, move the coins to new keys.",
        "tx.dropped": "Do not count on this payment; ask whoever paid.",
        "tx.conflicted.outflow": "See where the other transaction pays to. If it is not yours, treat the"
        " keys as stolen and move what is left to new keys.",
        "tx.conflicted": "This payment will not come. If something was given for it, ask whoever paid.",
        "tx.reclassified": "Check that whoever changed the watch list was allowed to, and that the added"
        " addresses are yours.",
        "chain.reorganized": "Depth 1 is usual. From 3 on, wait longer before you call a payment final.",
        "watch.removed": "Ask whoever looks after the watch list. If nobody removed them on purpose,"
        " somebody wants them unwatched: put them back and look at what they hold.",
        "watch.added": "Check that the added addresses are the treasury's.",
        "watch.collided": "Correct the watch list: an address belongs to one treasury at a time.",
        "config.changed": "Ask whoever looks after the watcher whether this was meant. If not, put the old"
        " config back.",
        "source.failed": "Nothing at once. If it lasts: watcher sources list, watcher check --online.",
        "source.disagreed": "Nothing at once: the other servers are asked too. If it goes on, name another"
        " source in its place; watcher sources list says why.",
        "source.pinned": "Compare the fingerprint with the one its operator publishes.",
        "treasury.stale": "Look at watcher status and at the connection of this machine. Until you read"
        " that it is watched again, silence means nothing.",
        "balance.crossed": "Look at the last movements of this treasury.",
        "claim.mismatched": "Look at what the claim covers before drawing conclusions.",
        "endpoint.failed": "See watcher deliveries, fix the endpoint, then watcher redeliver.",
        "movement.expected": "If you do not know of it, ask whoever announced it.",
    },
    changes={
        "treasury": "treasury {name}",
        "rule": "rule {name}",
        "endpoint": "endpoint {name}",
        "added": "{what} added",
        "removed": "{what} REMOVED",
        "moved": "{what} REDIRECTED",
        "loosened": "{what} LOOSENED",
        "changed": "{what} changed",
        "": "{name}",
    },
    trust={
        "reported": "reported (one server says so, no other has confirmed it yet)",
        "corroborated": "corroborated (independent servers, or your own, say the same; not proven yet)",
        "proven": "proven (its place in a block of the chain with the most work was checked)",
    },
    reasons={
        "found at start": "found at start: somebody changed the file while the watcher did not run",
        "absent": "no server knows it any more",
        "orphaned": "the block that created it left the chain",
        "unreachable": "cannot be reached",
        "timeout": "does not answer in time",
        "lagging": "lags behind the chain",
        "omission": "leaves out a proven transaction",
        "gone": "wants no more messages (410)",
        "connection": "refuses or drops the connection",
        "dns": "its name leads nowhere",
        "tls": "its certificate or encryption is not right",
        "forbidden_address": "its name leads into a private network",
        "redirect": "sends elsewhere, which is not followed",
        "throttled": "asks to be sent less",
        "overloaded": "is overloaded",
        "status_4xx": "refuses the message (4xx)",
        "status_5xx": "fails by itself (5xx)",
    },
    attributions={
        "self_published": "addresses published by itself",
        "official": "addresses published officially",
        "third_party": "addresses named by third parties",
        "own": "own addresses",
    },
    counted={
        "confirmations": ("{n} confirmation", "{n} confirmations"),
        "scripts": ("{n} address", "{n} addresses"),
        "days": ("{n} day", "{n} days"),
    },
    names={
        "treasury": "Treasury",
        "amount": "Amount",
        "from": "From",
        "to": "To",
        "received": "Received at",
        "fee": "Fee",
        "transaction": "Transaction",
        "block": "Block",
        "by": "By",
        "trust": "How sure",
        "oldest": "Oldest coin moved",
        "balance": "Balance",
        "corrects": "Corrects",
        "next": "What to do",
        "incident": "Incident",
        "known": "Known since",
        "rules": "Rules",
        "largest": "The largest",
        "messages": "Among them",
        "network": "Network",
        "counterparties": "Other treasuries",
        "reason": "Reason",
        "delta_sats": "Change of the total",
        "scripts": "Addresses",
        "anchor": "Counted up to",
        "fork": "Last common block",
        "depth": "Depth",
        "old_tip": "Tip before",
        "new_tip": "Tip now",
        "height": "height",
        "hash": "hash",
        "source": "Source",
        "endpoint": "Endpoint",
        "other": "The other treasury",
        "not_reached": "Told to the present endpoints; how to reach the former ones is no longer known",
        "claim": "Claim",
        "rule": "Rule",
        "until": "Until",
        "text": "Note",
        "before": "Before",
        "after": "After",
        "fingerprint": "Fingerprint",
        "threshold_sats": "Limit",
        "claimed_sats": "Claimed",
        "observed_sats": "Held",
        "says": "Meant",
        "as_of": "As of",
        "max_sats": "At most",
        "to_omitted": "More addresses",
        "count": "number",
        "sample": "What it would be",
        "title": "title",
        "type": "event",
        "step": "step",
        "severity": "severity",
        "instead": "The other transaction",
    },
    phrases={
        "unknown": "unknown",
        "unlabelled": "watched, without a label",
        "no_address": "no address, script {script}",
        "cut_script": "no address, the first {shown} of {bytes} bytes of the script {script}",
        "more": "and {count} more, {btc} in all",
        "fiat": "{amount} {currency} at {rate} {currency} a bitcoin, rate of {as_of}",
        "balance": "{confirmed} confirmed, {pending} unconfirmed",
        "still_held": "It is still known and waits for a block.",
        "not_held": "No server shows it at present.",
        "payer": "unknown (who paid is not known here)",
        "mixed": "Coins of others are spent too; the amounts are this treasury's share.",
        "first_spend": "An address spends for the first time: its public key is known from now on.",
        "late": "Told late: it happened while the watcher did not run or could not see it.",
        "expected": "This movement was announced.",
        "earlier": "an earlier message of this incident ({id})",
        "test_network": "TEST NETWORK {network}: these coins are worth nothing. ",
        "sources": "by {names}",
        "says_exactly": "exactly so much",
        "says_at_least": "at least so much",
        "says_at_most": "at most so much",
        "says_about": "about so much",
        "asleep": "had not moved for {days}",
        "folded": "{count} alike, in one message so that nothing else is lost among them.",
        "late_title": "{title}, told late",
        "balance_below": "below",
        "balance_above": "above",
    },
)
