import { z } from 'zod'
import { Secret } from '../secret.ts'

/** A secret of the configuration: a string there, a Secret from here on. An empty one is none. */
export function secret() {
  return z
    .string()
    .transform((value) => (value === '' ? undefined : new Secret(value)))
    .meta({ writeOnly: true })
}

/** A text that a substituted variable may have turned into a number, such as a project's id. */
export function text() {
  return z.union([z.string(), z.number().transform(String)])
}

/** True or false, as YAML or as a substituted variable spells it. */
export function flag() {
  const spelled = z
    .string()
    .regex(/^(true|false)$/i)
    .transform((value) => value.toLowerCase() === 'true')
  return z.union([z.boolean(), spelled])
}

/** An absolute http(s) URL as configured. */
export function httpUrl() {
  return z.string().regex(/^https?:\/\/[^\s]+$/, 'must be an http:// or https:// URL')
}
