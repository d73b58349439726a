import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '../../secret.ts'

interface PepperSource {
  /** `server.auth.key_pepper`. */
  readonly configured?: Secret | undefined
  /** Corral's home, where the file is made when none is configured. */
  readonly folder: string
}

interface Pepper {
  readonly value: Secret
  /** Its file; undefined: configured. */
  readonly file: string | undefined
  /** Why others may have read it; undefined: only the owner can. */
  readonly warning: string | undefined
}

const fileName = 'key-pepper'
const minLength = 16

/**
 * What API keys are hashed with: the configured pepper, else the file `key-pepper` in Corral's home, which is made (0600, 256 random bits) where
 * it is not there. Several processes may ask at once: one of them makes it. Losing it makes every key void; replicas on several machines
 * need the same. Throws an Error that says what to do where the file cannot be read or made.
 */
export async function loadPepper({ configured, folder }: PepperSource): Promise<Pepper> {
  if (configured) return { value: configured, file: undefined, warning: undefined }
  const file = join(folder, fileName)
  try {
    const value = (await readPepper(file)) ?? (await createPepper(folder, file))
    return { value, file, warning: await accessibleToOthers(file) }
  } catch (error) {
    throw new Error(
      `The pepper of API keys in ${file} cannot be used (${(error as Error).message}): make it readable for this user, or set server.auth.key_pepper.`,
      { cause: error },
    )
  }
}

async function readPepper(file: string): Promise<Secret | undefined> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  if (text.trim().length < minLength) throw new Error(`it holds fewer than ${minLength} characters`)
  return new Secret(text.trim())
}

/** Written under another name and then linked, which fails if another process was first: no process reads a partial file. */
async function createPepper(folder: string, file: string): Promise<Secret> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const fresh = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await using handle = await open(fresh, 'wx', 0o600)
    await handle.writeFile(`${randomBytes(32).toString('base64url')}\n`)
    await handle.sync()
    await matchOwnerOfFolder(folder, handle)
    await link(fresh, file).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    })
  } finally {
    await rm(fresh, { force: true })
  }
  const made = await readPepper(file)
  if (!made) throw new Error('it vanished as soon as it was made')
  return made
}

/** Root creates keys on the command line for a server that runs as another user, who must be able to read this. */
async function matchOwnerOfFolder(folder: string, handle: { chown(uid: number, gid: number): Promise<void> }): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(folder)
  if (uid !== 0) await handle.chown(uid, gid)
}

async function accessibleToOthers(file: string): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined
  const { mode } = await stat(file)
  return (mode & 0o077) === 0 ? undefined : `${file} can be read by other users of this machine: \`chmod 600\` it`
}
