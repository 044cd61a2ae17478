<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** One name of an image; an image of several names is listed once for each. */
final readonly class Image
{
    /**
     * @param string $ref Empty for an image without a name.
     * @param string $digest "sha256:…" of the manifest.
     * @param string $id The id of the image.
     * @param int $size Bytes.
     * @param int $created Unix time in seconds.
     */
    public function __construct(
        public string $ref,
        public string $digest,
        public string $id,
        public int $size,
        public int $created,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['ref'] ?? '',
            $data['digest'] ?? '',
            $data['id'] ?? '',
            $data['size'] ?? 0,
            $data['created'] ?? 0,
        );
    }
}
