<?php
declare(strict_types=1);

namespace Coolify\Coold\Build;

/** An image by the Containerfile or Dockerfile of a repository. */
final readonly class DockerfileBuild implements Build
{
    /**
     * @param string $repoUrl the repository, as git takes it
     * @param string $gitRef a branch, a tag or a commit
     * @param string $targetImage the name that the image gets
     * @param string|null $dockerfile path inside the repository; Containerfile or Dockerfile at its root when null
     * @param array<string, string>|null $buildArgs values of ARG
     * @param string|null $target the stage to build; the last one when null
     * @param string|null $cacheKey builds of one key share their layers; null: the repository
     * @param list<string>|null $baseImages images that the build may take from the host's own storage
     */
    public function __construct(
        public string $repoUrl,
        public string $gitRef,
        public string $targetImage,
        public ?string $dockerfile = null,
        public ?array $buildArgs = null,
        public ?string $target = null,
        public ?string $cacheKey = null,
        public ?Push $push = null,
        public ?array $baseImages = null,
    ) {
    }

    public function command(): array
    {
        return array_filter([
            'type' => 'dockerfile_build',
            'repo_url' => $this->repoUrl,
            'git_ref' => $this->gitRef,
            'target_image' => $this->targetImage,
            'dockerfile' => $this->dockerfile,
            'build_args' => $this->buildArgs === null ? null : (object) $this->buildArgs,
            'target' => $this->target,
            'cache_key' => $this->cacheKey,
            'push' => $this->push?->fields(),
            'base_images' => $this->baseImages,
        ], static fn (mixed $value): bool => $value !== null);
    }
}
