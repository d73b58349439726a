/** One field of a message in wire format. */
type Field = bigint | Uint8Array

/** The fields of a protobuf message by their numbers, in order. Enough for what OpenTelemetry sends. */
export function readMessage(bytes: Uint8Array): Map<number, Field[]> {
  const fields = new Map<number, Field[]>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('The message is cut.')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const take = (length: number): Uint8Array => bytes.subarray(at, (at += length))
  while (at < bytes.length) {
    const key = Number(varint())
    const number = key >> 3
    let value: Field
    if ((key & 7) === 0) value = varint()
    else if ((key & 7) === 1) value = view.getBigUint64((at += 8) - 8, true)
    else if ((key & 7) === 5) value = BigInt(view.getUint32((at += 4) - 4, true))
    else value = take(Number(varint()))
    fields.set(number, [...(fields.get(number) ?? []), value])
  }
  return fields
}

export type Fields = ReturnType<typeof readMessage>

export const bytesOf = (fields: Fields, number: number): Uint8Array =>
  (fields.get(number)?.[0] as Uint8Array | undefined) ?? new Uint8Array()
export const textOf = (fields: Fields, number: number): string => new TextDecoder().decode(bytesOf(fields, number))
export const numberOf = (fields: Fields, number: number): number => Number(fields.get(number)?.[0] ?? 0)
export const messagesOf = (fields: Fields, number: number): Fields[] =>
  (fields.get(number) ?? []).map((field) => readMessage(field as Uint8Array))
