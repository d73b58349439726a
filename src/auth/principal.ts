import type { Principal } from '../call.ts'

/** Characters. The name is in every log line and row. */
const maxIdLength = 512

// oxlint-disable-next-line no-control-regex -- what a name must not hold
const control = /[\u0000-\u001f\u007f-\u009f]/

/** Whom an authenticator has recognised; undefined where the name is none: not text, empty, too long, with control characters. */
export function toPrincipal(
  id: unknown,
  { type, prefix, attributes }: { type: string; prefix: string; attributes: Principal['attributes'] },
): Principal | undefined {
  if (typeof id !== 'string' || id.trim() === '' || id.length > maxIdLength || control.test(id)) return undefined
  return Object.freeze({ id: prefix + id, attributes, authenticator: type })
}
