import { shortened } from '../../errors.ts'

/** Maximum of members of an object, and of entries of a list. */
const maxMembers = 12
const maxDepth = 3

/** UTF-16 units of the whole. */
const maxLength = 2_048

/** The shape for a span. */
export function boundedShapeOf(value: unknown): string {
  return shortened(shapeOf(value), maxLength)
}

/**
 * What a request looks like, without what it says: `{model: text 12, messages: [2 × {role: text 4, content: text 53}], stream: true}`. Short member
 * names are included; of texts only the length in UTF-16 units.
 */
export function shapeOf(value: unknown, depth = 0): string {
  if (typeof value === 'string') return `text ${value.length}`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  if (Array.isArray(value)) return listShape(value, depth)
  if (typeof value !== 'object') return typeof value
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  if (depth >= maxDepth) return `{${entries.length}}`
  const members = entries.slice(0, maxMembers).map(([name, member]) => `${nameOf(name)}: ${shapeOf(member, depth + 1)}`)
  return `{${[...members, ...(entries.length > maxMembers ? ['…'] : [])].join(', ')}}`
}

function listShape(list: readonly unknown[], depth: number): string {
  if (list.length === 0) return '[]'
  if (depth >= maxDepth || typeof list[0] === 'number') return `[${list.length}]`
  const shapes = list.slice(0, maxMembers).map((entry) => shapeOf(entry, depth + 1))
  const alike = shapes.every((shape) => shape === shapes[0])
  return alike ? `[${list.length} × ${shapes[0]}]` : `[${[...shapes, ...(list.length > maxMembers ? ['…'] : [])].join(', ')}]`
}

/** Schemas let members pass that callers name as they like. */
function nameOf(name: string): string {
  return /^\w{1,40}$/.test(name) ? name : `"${name.length}"`
}
