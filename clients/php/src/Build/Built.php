<?php
declare(strict_types=1);

namespace Coolify\Coold\Build;

/** What a build ended with. */
final readonly class Built
{
    /**
     * @param string $digest "sha256:…" of the image; with push, of its manifest at the registry
     * @param string $registryRef "<target>@sha256:…"
     */
    public function __construct(
        public string $requestId,
        public string $digest,
        public string $registryRef,
        public int $durationMs,
    ) {
    }
}
