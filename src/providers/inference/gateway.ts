import type { FallbackModelFields } from '../provider.ts'

/** A gateway in OpenAI's format, which the root of any provider may lead to, whatever its type. */
export interface Gateway {
  /** Its host, with all hosts below. Absent: it has no host of its own, so every root may be one. */
  readonly host?: string
  readonly fallbackModels: Partial<FallbackModelFields>
}

/** The gateways that a root may be. */
export function gatewaysAt(root: string, gateways: readonly Gateway[]): Gateway[] {
  const at = URL.parse(root)?.hostname.replace(/\.$/, '') ?? ''
  return gateways.filter(({ host }) => host === undefined || at === host || at.endsWith(`.${host}`))
}

/** The fields of several sources as one. */
export function joinFallbackModels(sources: readonly (Partial<FallbackModelFields> | undefined)[]): FallbackModelFields {
  const all = sources.filter((source) => source !== undefined)
  return {
    named: [...new Set(all.flatMap(({ named = [] }) => named))],
    uncheckable: [...new Set(all.flatMap(({ uncheckable = [] }) => uncheckable))],
    inspected: [...new Set(all.flatMap(({ inspected = [] }) => inspected))],
    findModelChoice: all.findLast(({ findModelChoice }) => findModelChoice)?.findModelChoice,
  }
}

/** Every top-level field by which a model may be chosen: it must be there once, and exactly spelt. */
export function governedFieldsOf({ named, uncheckable, inspected = [] }: FallbackModelFields): string[] {
  return [...named, ...uncheckable, ...inspected]
}
