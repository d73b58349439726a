import { type FileHandle, open } from 'node:fs/promises'

/** Which bytes of something. */
export interface ByteRange {
  readonly start: number
  /** The last byte's position: `{start: 0, end: 0}` is one byte. */
  readonly end: number
}

const pieceSize = 65_536

/**
 * The bytes of a file, read on demand. The file is opened at the first read and closed at the end, at an error and when the reader
 * leaves. Fails where the file ends before the range does.
 */
export function fileStream(path: string, { start, end }: ByteRange): ReadableStream<Uint8Array> {
  let file: FileHandle | undefined
  let at = start
  const close = async (): Promise<void> => {
    const opened = file
    file = undefined
    await opened?.close()
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          file ??= await open(path, 'r')
          const wanted = Math.min(pieceSize, end - at + 1)
          const { bytesRead, buffer } =
            wanted > 0 ? await file.read(Buffer.allocUnsafe(wanted), 0, wanted, at) : { bytesRead: 0, buffer: noBytes }
          if (wanted > 0 && bytesRead === 0) throw new Error(`the file ended after ${at} bytes, ${end + 1 - at} before its recorded end`)
          at += bytesRead
          if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead))
          if (at <= end) return
          await close()
          controller.close()
        } catch (error) {
          await close()
          throw error
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  )
}

const noBytes = new Uint8Array()
