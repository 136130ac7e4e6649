"""What a report says, in each language. Values come in by name and are escaped before."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_EN: Final = {
    "heading": "Report on a bitcoin treasury",
    "attribution.self_published": "addresses published by itself",
    "attribution.official": "addresses published officially",
    "attribution.third_party": "addresses named by third parties",
    "attribution.own": "own addresses",
    "at_block": "at the end of block {height}",
    "at_day": "at the end of {day} (UTC), which is block {height}",
    "block": "Block {hash}, {time}",
    "chain": "In the chain",
    "chain_text": (
        "{n} transactions, each proved by its bytes, its branch and a header with the work it states."
    ),
    "chain_one": "1 transaction, proved by its bytes, its branch and a header with the work it states.",
    "unexplained": (
        "{btc} BTC were there at the first reading, and no transaction in this report explains them."
    ),
    "complete": "Complete",
    "complete_text": (
        "By the word of {sources} at block {height}, which is no proof: all of them could leave one out."
    ),
    "complete_past": (
        "By the word of the servers that were asked, which is no proof: all of them could leave one out."
    ),
    "whose": "Whose",
    "whose_text": "{scripts} by {by}; {attribution}. Nothing in here proves who holds the keys.",
    "whose_unknown": "{attribution}. Nothing in here proves who holds the keys.",
    "scripts": "{n} addresses",
    "scripts_one": "1 address",
    "published_on": "published {day}",
    "read_on": "read {day}",
    "licence": "licence: {licence}",
    "claims": "What was claimed",
    "claims_head": "As of|Who|What they said|What is seen|",
    "verdict.holds": "borne out",
    "verdict.mismatched": "contradicted",
    "verdict.open": "not decided",
    "standing": "standing",
    "transactions": "Transactions",
    "transactions_head": "Block|Time (UTC)|Transaction||Amount BTC|Balance BTC",
    "flow.inflow": "in",
    "flow.outflow": "out",
    "flow.internal": "internal",
    "none": "None up to this block.",
    "addresses": "Addresses",
    "addresses_head": "Address or script|Label|Published|Watched from block|Balance BTC",
    "check": "Check it yourself",
    "check_text": (
        "The evidence for this page is an archive with the raw transactions, their branches, the "
        "headers and a short program that reads them. Unpack it and run {command}. Or look each "
        "transaction up at any node or explorer."
    ),
    "words": "What the words mean",
    "words_text": (
        "Amounts are exact. A balance counts what is in blocks, and nothing unconfirmed. A block's "
        "time is its miner's. A claim of a day is judged by the lowest and the highest balance of "
        "that UTC day, a standing one by the balance above. The past is read with the list of "
        "addresses as it is now."
    ),
    "footer": (
        "Made by Treasury Watcher {version} on {network}, the same for ever from the same ledger. Not "
        "affiliated with anybody named here. No advice."
    ),
}
_ES: Final = {
    "heading": "Informe sobre una tesorería de bitcoin",
    "attribution.self_published": "direcciones publicadas por ella misma",
    "attribution.official": "direcciones publicadas oficialmente",
    "attribution.third_party": "direcciones señaladas por terceros",
    "attribution.own": "direcciones propias",
    "at_block": "al final del bloque {height}",
    "at_day": "al final del {day} (UTC), que es el bloque {height}",
    "block": "Bloque {hash}, {time}",
    "chain": "En la cadena",
    "chain_text": (
        "{n} transacciones, cada una probada por sus bytes, su rama y una cabecera con el trabajo que "
        "declara."
    ),
    "chain_one": "1 transacción, probada por sus bytes, su rama y una cabecera con el trabajo que declara.",
    "unexplained": "Al empezar a leer había {btc} BTC que ninguna transacción de este informe explica.",
    "complete": "Completo",
    "complete_text": (
        "Según {sources} en el bloque {height}, lo que no es una prueba: todos podrían callar una "
        "transacción."
    ),
    "complete_past": (
        "Según los servidores consultados, lo que no es una prueba: todos podrían callar una transacción."
    ),
    "whose": "De quién",
    "whose_text": "{scripts} según {by}; {attribution}. Nada de esto prueba quién tiene las claves.",
    "whose_unknown": "{attribution}. Nada de esto prueba quién tiene las claves.",
    "scripts": "{n} direcciones",
    "scripts_one": "1 dirección",
    "published_on": "publicada el {day}",
    "read_on": "leída el {day}",
    "licence": "licencia: {licence}",
    "claims": "Lo que se declaró",
    "claims_head": "Fecha|Quién|Lo que dijo|Lo que se ve|",
    "verdict.holds": "confirmado",
    "verdict.mismatched": "contradicho",
    "verdict.open": "sin decidir",
    "standing": "vigente",
    "transactions": "Transacciones",
    "transactions_head": "Bloque|Hora (UTC)|Transacción||Importe BTC|Saldo BTC",
    "flow.inflow": "entra",
    "flow.outflow": "sale",
    "flow.internal": "interna",
    "none": "Ninguna hasta este bloque.",
    "addresses": "Direcciones",
    "addresses_head": "Dirección o script|Etiqueta|Publicación|Vigilada desde el bloque|Saldo BTC",
    "check": "Compruébelo usted",
    "check_text": (
        "La evidencia de esta página es un archivo con las transacciones en bruto, sus ramas, las "
        "cabeceras y un programa corto que las lee. Descomprímalo y ejecute {command}. O busque cada "
        "transacción en cualquier nodo o explorador."
    ),
    "words": "Qué significan las palabras",
    "words_text": (
        "Los importes son exactos. Un saldo cuenta lo que está en bloques y nada sin confirmar. La hora "
        "de un bloque es la de su minero. Una declaración de un día se juzga por el saldo más bajo y "
        "el más alto de ese día UTC; una vigente, por el saldo de arriba. El pasado se lee con la "
        "lista de direcciones de ahora."
    ),
    "footer": (
        "Hecho por Treasury Watcher {version} en {network}, siempre igual desde el mismo registro. "
        "Sin relación con nadie de los nombrados. No es un consejo."
    ),
}
WORDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({"en": _EN, "es": _ES})
