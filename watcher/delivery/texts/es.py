"""Spanish."""

from __future__ import annotations

from typing import Final

from watcher.delivery.texts.catalogue import Catalogue

SPANISH: Final = Catalogue(
    severities={"info": "", "warning": "[AVISO] ", "critical": "[CRÍTICO] "},
    flows={
        "inflow": "Entrada de {btc} en {treasury}",
        "outflow": "Salida de {btc} de {treasury}",
        "internal": "Traspaso interno de {btc} en {treasury}",
    },
    floods={
        "inflow": "{count} entradas en {treasury}, {btc} en total",
        "outflow": "{count} salidas de {treasury}, {btc} en total",
        "internal": "{count} traspasos internos en {treasury}, {btc} en total",
        "": "{count} veces: {title}",
    },
    states={
        "tx.seen": "vista en la red, aún sin bloque",
        "tx.confirmed": "en un bloque, {confirmations}",
        "tx.final": "en firme, {confirmations}",
        "tx.moved": "ahora en otro bloque",
        "tx.unconfirmed": "SIN EFECTO, ya no está en un bloque",
        "tx.replaced": "SIN EFECTO, otra transacción ocupó su lugar",
        "tx.dropped": "SIN EFECTO, desapareció de la red",
        "tx.conflicted": "SIN EFECTO, sus monedas se gastaron de otro modo",
        "tx.reclassified": "SE LEE DE OTRO MODO, cambió la lista de vigilancia",
    },
    titles={
        "chain.reorganized": "Reorganización de la cadena, profundidad {depth}",
        "watch.baselined": "{treasury}: primera lectura completa, {balance}",
        "watch.added": "{treasury}: lista de vigilancia ampliada",
        "watch.removed": "{treasury}: {scripts} sin vigilar en adelante, {delta} en el total",
        "watch.collided": "{treasury}: una dirección es también de otra tesorería",
        "watch.separated": "{treasury}: las direcciones ya no chocan",
        "config.changed": "Cambió la configuración del vigilante: {changes}",
        "source.failed": "La fuente {source} falla: {reason}",
        "source.recovered": "La fuente {source} responde de nuevo",
        "source.disagreed": "La fuente {source} contradice lo que se sabe: {reason}",
        "source.agreed": "La fuente {source} coincide de nuevo",
        "source.pinned": "Clave de la fuente {source} anotada",
        "treasury.stale": "{treasury}: SIN VIGILANCIA fiable en este momento",
        "treasury.fresh": "{treasury}: vigilada de nuevo, sin lagunas",
        "balance.crossed": "{treasury}: saldo {side} de su límite",
        "balance.restored": "{treasury}: saldo de nuevo dentro de su límite",
        "claim.mismatched": "{treasury}: la declaración {claim} no concuerda con la cadena",
        "claim.matched": "{treasury}: la declaración {claim} concuerda con la cadena",
        "endpoint.failed": "Los avisos no llegan al destino {endpoint}",
        "endpoint.recovered": "Los avisos llegan de nuevo al destino {endpoint}",
        "endpoint.paused": "Avisos al destino {endpoint} en pausa",
        "incident.noted": "Nota sobre un incidente",
        "movement.expected": "{treasury}: se anunció un movimiento",
        "watcher.test": "Mensaje de prueba: no se movió ninguna moneda",
        "watcher.canary": "Canario: los avisos llegan, no se movió ninguna moneda",
        "": "Suceso {type}",
    },
    meanings={
        "tx.seen": "La red conoce una transacción que mueve estas monedas. Aún no está en ningún bloque:"
        " todavía puede ser reemplazada o desaparecer.",
        "tx.confirmed": "La transacción está en un bloque de la cadena.",
        "tx.final": "Tiene tantas confirmaciones como este vigilante exige para dar una transacción por"
        " firme.",
        "tx.moved": "Una reorganización de la cadena puso la transacción en otro bloque. Nada más cambió.",
        "tx.unconfirmed": "Una reorganización de la cadena sacó la transacción de su bloque. Lo que se dijo"
        " de ella como confirmado ya no vale.",
        "tx.replaced": "Otra transacción sin confirmar gasta las mismas monedas y ocupó el lugar de esta."
        " Lo que se dijo de esta ya no vale; de la otra se avisa aparte.",
        "tx.dropped": "Ninguno de los servidores consultados conoce ya esta transacción sin confirmar. Lo"
        " que se dijo de ella ya no vale. Puede volver: quien la tenga puede enviarla otra vez.",
        "tx.conflicted": "Una transacción que está en un bloque gasta las mismas monedas. Esta ya no puede"
        " confirmarse; lo que se dijo de ella ya no vale.",
        "tx.reclassified": "Ahora no se movió ninguna moneda. Cambió la lista de vigilancia, y esta"
        " transacción, de la que se dijo otra cosa, se lee ya como dice el título.",
        "chain.reorganized": "Una rama con más trabajo desplazó a los bloques más recientes. De lo que"
        " cambió para una tesorería se avisa aparte.",
        "watch.baselined": "Se conoce y está en el total todo lo que tenían las direcciones vigiladas; desde"
        " ahora se avisa de cada cambio.",
        "watch.added": "Entraron direcciones en la lista de vigilancia. Lo que tienen se sumará al total"
        " cuando se hayan leído.",
        "watch.removed": "No se movió ninguna moneda: salieron direcciones de la lista de vigilancia con lo"
        " que tienen. Desde ahora no se avisa de nada suyo.",
        "watch.collided": "El uso de un monedero llega hasta direcciones que ya son de otra tesorería."
        " Cuentan solo en ella.",
        "watch.separated": "Las dos listas ya no tienen ninguna dirección en común.",
        "config.changed": "Alguien cambió lo que se vigila, con qué reglas, o a quién se avisa.",
        "source.failed": "El servidor no da respuestas útiles. Entretanto se pregunta a las demás fuentes.",
        "source.recovered": "El servidor da de nuevo respuestas útiles.",
        "source.disagreed": "El servidor dice algo que una prueba o los demás servidores contradicen. No se"
        " pierde nada: se conservó lo probado.",
        "source.agreed": "El servidor ya no contradice lo que se sabe.",
        "source.pinned": "Se vio por primera vez la clave del servidor y desde ahora se espera la misma.",
        "treasury.stale": "Hace demasiado tiempo que responden muy pocos servidores. Un movimiento pudo"
        " pasar inadvertido; el último saldo conocido puede estar anticuado.",
        "treasury.fresh": "Ya responden bastantes servidores por cada dirección. Lo que ocurrió entretanto"
        " se leyó y se avisó.",
        "balance.crossed": "El saldo confirmado está fuera del límite que fija una regla.",
        "balance.restored": "El saldo confirmado está de nuevo dentro del límite que fija una regla.",
        "claim.mismatched": "Lo que alguien declaró no es lo que tienen las direcciones vigiladas.",
        "claim.matched": "Lo que alguien declaró es lo que tienen las direcciones vigiladas.",
        "endpoint.failed": "Tras muchos intentos se dejó de enviar un mensaje, o el destino rechazó todos"
        " los siguientes. Se conservan y pueden enviarse otra vez.",
        "endpoint.recovered": "El destino acepta mensajes de nuevo.",
        "endpoint.paused": "Los mensajes esperan hasta que acabe la pausa. No se pierde ninguno.",
        "incident.noted": "Alguien añadió una observación a un incidente del que se le avisó.",
        "movement.expected": "Alguien anunció un movimiento de monedas. Si ocurre uno que coincida, se"
        " avisará igual, marcado como esperado.",
        "watcher.test": "Alguien pidió este mensaje para ver si llega.",
        "watcher.canary": "Este mensaje recorre el vigilante entero de vez en cuando para mostrar que los"
        " avisos llegan.",
        "": "El vigilante registró este suceso.",
    },
    advice={
        "tx.seen.outflow": "Si no lo esperaba, pregunte ya a todos los que pueden firmar. Mientras no esté"
        " en un bloque, quien tenga las claves aún puede reemplazarla pagando una comisión mayor. Si es un"
        " traslado propio a direcciones nuevas, watcher suggest {incident} escribe las líneas que las"
        " añaden.",
        "outflow": "Si nadie de los que pueden firmar sabe de ella, dé las claves por robadas y pase lo que"
        " queda a claves nuevas. Si es un traslado propio a direcciones nuevas, watcher suggest {incident}"
        " escribe las líneas que las añaden.",
        "tx.seen.inflow": "No cuente con ella hasta que esté en firme. Nunca copie de un mensaje una"
        " dirección a la que pagar: quien envía polvo imita direcciones.",
        "inflow": "Nada, salvo que no la esperara. Nunca copie de un mensaje una dirección a la que pagar:"
        " quien envía polvo imita direcciones.",
        "internal": "Nada, si estaba previsto. Se firmó con las claves: si nadie lo tenía previsto,"
        " pregunte a todos los que pueden firmar.",
        "expected": "Compruebe que paga adonde se anunció; si es así, nada más.",
        "tx.moved": "Nada.",
        "tx.unconfirmed.inflow": "Dé este pago por no hecho hasta que se confirme de nuevo, y no entregue"
        " nada a cambio entretanto.",
        "tx.unconfirmed": "Espere el mensaje de que está otra vez en un bloque, o de que otra ocupó su"
        " lugar.",
        "tx.replaced.outflow": "Vea adónde paga la otra transacción y pregunte ya a todos los que pueden"
        " firmar. Si ninguno la reemplazó, alguien más tiene las claves: páselo todo a claves nuevas.",
        "tx.replaced.inflow": "No cuente con este pago; vea si la otra transacción todavía le paga.",
        "tx.replaced": "Vea adónde paga la otra transacción.",
        "tx.dropped.outflow": "Las monedas siguen donde estaban, pero otros vieron la firma y pueden"
        " enviarla otra vez. Si no era suya, pase las monedas a claves nuevas.",
        "tx.dropped": "No cuente con este pago; pregunte a quien pagó.",
        "tx.conflicted.outflow": "Vea adónde paga la otra transacción. Si no es suya, dé las claves por"
        " robadas y pase lo que queda a claves nuevas.",
        "tx.conflicted": "Este pago no llegará. Si se entregó algo a cambio, pregunte a quien pagó.",
        "tx.reclassified": "Compruebe que quien cambió la lista de vigilancia tenía permiso y que las"
        " direcciones añadidas son suyas.",
        "chain.reorganized": "Una profundidad de 1 es habitual. A partir de 3, espere más antes de dar un"
        " pago por firme.",
        "watch.removed": "Pregunte a quien lleva la lista de vigilancia. Si nadie las quitó a propósito,"
        " alguien quiere que no se vigilen: vuelva a ponerlas y mire lo que tienen.",
        "watch.added": "Compruebe que las direcciones añadidas son de la tesorería.",
        "watch.collided": "Corrija la lista de vigilancia: una dirección es de una sola tesorería a la vez.",
        "config.changed": "Pregunte a quien lleva el vigilante si esto era intencionado. Si no, reponga la"
        " configuración anterior.",
        "source.failed": "Nada por ahora. Si dura: watcher sources list, watcher check --online.",
        "source.disagreed": "Nada por ahora: también se pregunta a los demás servidores. Si sigue, ponga"
        " otra fuente en su lugar; watcher sources list dice por qué.",
        "source.pinned": "Compare la huella con la que publica quien opera el servidor.",
        "treasury.stale": "Mire watcher status y la conexión de esta máquina. Hasta que lea que vuelve a"
        " estar vigilada, el silencio no significa nada.",
        "balance.crossed": "Mire los últimos movimientos de esta tesorería.",
        "claim.mismatched": "Mire qué abarca la declaración antes de sacar conclusiones.",
        "endpoint.failed": "Mire watcher deliveries, arregle el destino y después use watcher redeliver.",
        "movement.expected": "Si no lo conoce, pregunte a quien lo anunció.",
    },
    changes={
        "treasury": "la tesorería {name}",
        "rule": "la regla {name}",
        "endpoint": "el destino {name}",
        "added": "se añade {what}",
        "removed": "SE QUITA {what}",
        "moved": "SE DESVÍA {what}",
        "loosened": "SE RELAJA {what}",
        "changed": "cambia {what}",
        "": "{name}",
    },
    trust={
        "reported": "comunicado (lo dice un solo servidor, ningún otro lo ha confirmado aún)",
        "corroborated": "corroborado (lo dicen servidores independientes, o el propio; aún sin prueba)",
        "proven": "probado (se comprobó su lugar en un bloque de la cadena con más trabajo)",
    },
    reasons={
        "found at start": "hallado al arrancar: alguien cambió el archivo con el vigilante parado",
        "absent": "ningún servidor la conoce ya",
        "orphaned": "el bloque que la creó salió de la cadena",
        "unreachable": "no se puede alcanzar",
        "timeout": "no responde a tiempo",
        "lagging": "va por detrás de la cadena",
        "omission": "calla una transacción probada",
        "gone": "no quiere más mensajes (410)",
        "connection": "rechaza o corta la conexión",
        "dns": "su nombre no lleva a ninguna parte",
        "tls": "su certificado o su cifrado no es correcto",
        "forbidden_address": "su nombre lleva a una red privada",
        "redirect": "remite a otro lugar, y eso no se sigue",
        "throttled": "pide que se le envíe menos",
        "overloaded": "está sobrecargado",
        "status_4xx": "rechaza el mensaje (4xx)",
        "status_5xx": "falla por sí mismo (5xx)",
    },
    attributions={
        "self_published": "direcciones publicadas por ella misma",
        "official": "direcciones publicadas oficialmente",
        "third_party": "direcciones señaladas por terceros",
        "own": "direcciones propias",
    },
    counted={
        "confirmations": ("{n} confirmación", "{n} confirmaciones"),
        "scripts": ("{n} dirección", "{n} direcciones"),
        "days": ("{n} día", "{n} días"),
    },
    names={
        "treasury": "Tesorería",
        "amount": "Importe",
        "from": "De",
        "to": "A",
        "received": "Recibido en",
        "fee": "Comisión",
        "transaction": "Transacción",
        "block": "Bloque",
        "by": "Por",
        "trust": "Certeza",
        "oldest": "Moneda más antigua movida",
        "balance": "Saldo",
        "corrects": "Corrige",
        "next": "Qué hacer",
        "incident": "Incidente",
        "known": "Se sabe desde",
        "rules": "Reglas",
        "largest": "De mayor importe",
        "messages": "Entre ellos",
        "network": "Red",
        "counterparties": "Otras tesorerías",
        "reason": "Motivo",
        "delta_sats": "Cambio del total",
        "scripts": "Direcciones",
        "anchor": "Contado hasta",
        "fork": "Último bloque común",
        "depth": "Profundidad",
        "old_tip": "Punta anterior",
        "new_tip": "Punta actual",
        "height": "altura",
        "hash": "hash",
        "source": "Fuente",
        "endpoint": "Destino",
        "other": "La otra tesorería",
        "not_reached": "Se avisa a los destinos de ahora; ya no se sabe cómo llegar a los de antes",
        "claim": "Declaración",
        "rule": "Regla",
        "until": "Hasta",
        "text": "Nota",
        "before": "Antes",
        "after": "Después",
        "fingerprint": "Huella",
        "threshold_sats": "Límite",
        "claimed_sats": "Declarado",
        "observed_sats": "En poder",
        "says": "Se entiende",
        "as_of": "A fecha de",
        "max_sats": "Como mucho",
        "addresses": "Cuáles",
        "addresses_omitted": "Más direcciones",
        "to_omitted": "Más direcciones",
        "count": "número",
        "sample": "Lo que sería",
        "title": "título",
        "type": "suceso",
        "step": "paso",
        "severity": "gravedad",
        "instead": "La otra transacción",
    },
    phrases={
        "unknown": "desconocida",
        "unlabelled": "vigilada, sin etiqueta",
        "no_address": "sin dirección, script {script}",
        "cut_script": "sin dirección, los primeros {shown} de {bytes} bytes del script {script}",
        "more": "y {count} más, {btc} en total",
        "fiat": "{amount} {currency} a {rate} {currency} por bitcoin, cambio de {as_of}",
        "balance": "{confirmed} confirmados, {pending} sin confirmar",
        "still_held": "La red aún la conoce y espera un bloque.",
        "not_held": "Ningún servidor la muestra por ahora.",
        "payer": "desconocida (aquí no se sabe quién pagó)",
        "mixed": "También se gastan monedas ajenas; los importes son la parte de esta tesorería.",
        "first_spend": "Una dirección gasta por primera vez: desde ahora se conoce su clave pública.",
        "late": "Se avisa tarde: ocurrió mientras el vigilante no funcionaba o no podía verlo.",
        "expected": "Este movimiento estaba anunciado.",
        "earlier": "un mensaje anterior de este incidente ({id})",
        "test_network": "RED DE PRUEBAS {network}: estas monedas no valen nada. ",
        "sources": "según {names}",
        "says_exactly": "exactamente tanto",
        "says_at_least": "al menos tanto",
        "says_at_most": "a lo sumo tanto",
        "says_about": "más o menos tanto",
        "asleep": "llevaba {days} sin moverse",
        "folded": "{count} iguales, en un solo mensaje para que nada más se pierda entre ellas.",
        "late_title": "{title}, se avisa tarde",
        "balance_below": "por debajo",
        "balance_above": "por encima",
    },
)
