import { ApiError } from '../errors.ts'
import type { Principal } from '../call.ts'
import type { OwnedColumns } from '../storage/tables.ts'
import type { Owner } from './policy.ts'

/** The columns that say whose a row is. */
type OwnerColumns = Pick<OwnedColumns, 'owner_id' | 'owner_attributes'>

const maxIdLength = 512
const maxAttributesLength = 65_536

/**
 * `owner` as columns; undefined: unowned. Attributes that not both engines can hold (U+0000, half a surrogate pair) are left out: what is
 * not stored is not shared. Throws ApiError 403 for an owner whose id or attributes cannot be kept.
 */
export function ownerColumns(owner: Pick<Principal, 'id' | 'attributes'> | undefined): OwnerColumns {
  if (!owner) return { owner_id: null, owner_attributes: '{}' }
  const attributes = Object.entries(owner.attributes)
    .filter(([name]) => isStorable(name))
    .map(([name, values]) => [name, values.filter(isStorable)] as const)
  const text = JSON.stringify(Object.fromEntries(attributes))
  if (owner.id === '' || owner.id.length > maxIdLength || !isStorable(owner.id) || text.length > maxAttributesLength) {
    throw new ApiError('permission_error', 'Principal contains unsupported characters.', { code: 'unfit_owner' })
  }
  return { owner_id: owner.id, owner_attributes: text }
}

/** Undefined: unowned. */
export function ownerOf({ owner_id: id, owner_attributes: attributes }: OwnerColumns): Owner | undefined {
  return id === null ? undefined : { id, attributes: readAttributes(attributes) }
}

/** Corrupt attributes are ignored. */
function readAttributes(text: string): Owner['attributes'] {
  try {
    const lists = Object.entries(JSON.parse(text) as object).filter(([, list]) => Array.isArray(list))
    return Object.fromEntries(lists)
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return {}
    throw error
  }
}

/** Whether both engines can hold it, and be asked about it, without changing it. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}
