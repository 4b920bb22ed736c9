"""The GLSL of the street world: surfaces from noise, a sky, sun with shadows, skylight with occlusion, haze."""

from voxbox_core.datasets.street.materials import Material

_MATERIALS = "".join(f"const int {m.name} = {int(m)};\n" for m in Material)

_NOISE = """
float hash(vec3 p) { p = fract(p * 0.1031); p += dot(p, p.zyx + 31.32); return fract((p.x + p.y) * p.z); }
float noise(vec3 p) {
    vec3 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    float low = mix(mix(hash(i), hash(i + vec3(1, 0, 0)), f.x),
                    mix(hash(i + vec3(0, 1, 0)), hash(i + vec3(1, 1, 0)), f.x), f.y);
    float high = mix(mix(hash(i + vec3(0, 0, 1)), hash(i + vec3(1, 0, 1)), f.x),
                     mix(hash(i + vec3(0, 1, 1)), hash(i + vec3(1, 1, 1)), f.x), f.y);
    return mix(low, high, f.z);
}
float fbm(vec3 p) { return 0.53 * noise(p) + 0.27 * noise(p * 2.1) + 0.13 * noise(p * 4.3) + 0.07 * noise(p * 8.7); }
// Foliage is a shell with holes.
bool hole(vec3 p, int material) { return material == LEAVES && noise(p * 4.0) * 0.5 + noise(p * 11.0) * 0.5 < 0.44; }
"""

_SKY = """
uniform vec3 sun, sun_color, zenith, horizon, ambient;
uniform float clouds, seed;
vec3 sky(vec3 d) {
    vec3 color = mix(horizon, zenith, pow(max(d.z, 0.0), 0.55));
    vec2 q = d.xy / (max(d.z, 0.0) + 0.15);
    float cover = smoothstep(0.62 - clouds * 0.45, 0.95 - clouds * 0.35, fbm(vec3(q * 1.1, seed)) * 1.2);
    color = mix(color, vec3(0.95, 0.97, 1.0) * dot(horizon, vec3(0.4)), cover);
    return color + sun_color * (0.12 * pow(max(dot(d, sun), 0.0), 12.0) + 0.6 * pow(max(dot(d, sun), 0.0), 120.0));
}
"""

SURFACE_VERTEX = """#version 330
in vec3 position, normal, color; in vec2 texture_at; in float material;
uniform mat4 view_projection, model, sun_projection, top_projection;
invariant gl_Position;
out vec3 world, object, outward, paint; out vec2 at; out vec3 in_sun, in_top; flat out int kind;
void main() {
    vec4 p = model * vec4(position, 1.0);
    world = p.xyz; object = position; outward = mat3(model) * normal; paint = color; at = texture_at;
    kind = int(material + 0.5);
    in_sun = (sun_projection * p).xyz * 0.5 + 0.5; in_top = (top_projection * p).xyz * 0.5 + 0.5;
    gl_Position = view_projection * p;
}
"""

# Runs once per pixel, for what the depth pass (SHAPE) left visible: it needs no `discard`.
SURFACE = f"""#version 330
{_MATERIALS}
in vec3 world, object, outward, paint; in vec2 at; in vec3 in_sun, in_top; flat in int kind;
uniform vec3 eye, forward, haze_color; uniform float haze, wet, vary;
uniform uint id; uniform vec4 trim[5]; uniform vec2 half_size;
uniform sampler2DShadow sun_depth, top_depth;
layout(location = 0) out vec4 radiance; layout(location = 1) out uint instance; layout(location = 2) out float depth;
{_NOISE}{_SKY}
"""

_SURFACE_BODY = """
struct Surface { vec3 color; float mirror, f0, gloss; };

float sunlight() {
    if (any(lessThan(in_sun, vec3(0))) || any(greaterThan(in_sun, vec3(1)))) return 1.0;
    float sum = 0.0;
    for (int i = 0; i < 4; i++)
        sum += texture(sun_depth, vec3(in_sun.xy + (vec2(i & 1, i >> 1) - 0.5) * 0.0006, in_sun.z - 0.0010));
    return sum * 0.25;
}

// Share of the skylight that reaches the ground between and under low things, seen from straight above, blurred.
float openness() {
    if (any(lessThan(in_top, vec3(0))) || any(greaterThan(in_top, vec3(1)))) return 1.0;
    float sum = 0.0;
    for (int i = 0; i < 8; i++) {
        float a = float(i) * 2.4 + 0.3, r = 0.0008 * float(i + 1);
        sum += texture(top_depth, vec3(in_top.xy + r * vec2(cos(a), sin(a)), in_top.z - 0.02));
    }
    return sum * 0.125;
}

vec3 asphalt(vec3 c, float far) {
    float coarse = fbm(vec3(world.xy * 0.35, seed)), fine = noise(vec3(world.xy * 30.0, seed));
    vec2 cell = floor(world.xy * vec2(0.11, 0.29) + vec2(seed, vary));
    float patchy = step(0.8, hash(vec3(cell, seed)));
    float tracks = 0.5 + 0.5 * cos(world.y * 3.9 + seed);
    float crack = abs(noise(vec3(world.xy * 0.9, seed + 3.0)) - 0.5);
    c *= 0.78 + 0.44 * coarse + 0.30 * (fine - 0.5) * far - 0.16 * patchy + 0.06 * tracks;
    c *= 1.0 - 0.35 * smoothstep(0.010, 0.0, crack) * far * step(0.45, coarse);
    vec2 hole = fract(world.xy * vec2(0.063, 0.21) + vec2(seed * 0.37, vary)) - 0.5;
    float lid = length(hole / vec2(0.063, 0.21));
    if (hash(vec3(floor(world.xy * vec2(0.063, 0.21) + vec2(seed * 0.37, vary)), 1.0)) > 0.7)
        c *= lid < 0.32 ? 0.55 + 0.3 * step(0.5, fract(world.x * 9.0)) : 1.0;
    return c;
}

vec3 paving(vec3 c, float far) {
    vec2 t = world.xy * (1.6 + fract(seed * 0.37) * 2.5);
    vec2 joint = smoothstep(0.0, 0.06, fract(t)) * smoothstep(0.0, 0.06, 1.0 - fract(t));
    float stone = 0.92 + 0.16 * hash(vec3(floor(t), 2.0));
    return c * (0.8 + 0.35 * fbm(vec3(world.xy * 0.7, seed))) * mix(1.0, 0.74 + 0.26 * joint.x * joint.y, far) * stone;
}

vec3 grass(vec3 c, float far) {
    c *= 0.5 + 0.7 * fbm(vec3(world.xy * 1.2, seed)) + 0.6 * (noise(vec3(world.xy * 13.0, seed)) - 0.3) * far;
    c = mix(c, vec3(0.14, 0.11, 0.06), 0.6 * smoothstep(0.55, 0.75, noise(vec3(world.xy * 0.25, seed + 5.0))));
    return c;
}

// A facade: rows of windows with frames, sills, curtains or reflections; plaster or brick.
Surface wall(vec3 c, float far) {
    Surface s = Surface(c, 0.0, 0.04, 0.0);
    vec3 key = floor(paint * 977.0) + seed;
    float pitch = 1.9 + 1.7 * hash(key), storey = 2.7 + 0.4 * hash(key + 3.0);
    float half_window = 0.2 + 0.16 * hash(key + 5.0);
    vec2 q = vec2(at.x / pitch, (at.y - 0.25) / storey), f = fract(q), cell = floor(q);
    bool upright = abs(outward.z) < 0.5;
    float aside = abs(f.x - 0.5);
    bool row = upright && f.y > 0.32 && f.y < 0.84 && hash(vec3(cell, key.y)) > 0.12;
    bool window = row && at.y > 0.3 && aside < half_window;
    bool frame = window && (aside > half_window - 0.04 || f.y < 0.355 || f.y > 0.81 || aside < 0.015);
    s.color *= 0.82 + 0.26 * fbm(vec3(at * 0.6, key.x)) + 0.10 * (noise(vec3(at * 8.0, 1.0)) - 0.5) * far;
    if (hash(key + 7.0) < 0.25) {
        vec2 b = vec2(at.x * 4.0 + 0.5 * mod(floor(at.y * 13.0), 2.0), at.y * 13.0), e = fract(b);
        s.color *= mix(1.0, 0.72 + 0.28 * step(0.08, e.x) * step(0.14, e.y), far);
        s.color *= 0.88 + 0.24 * hash(vec3(floor(b), 1.0));
    }
    s.color *= 1.0 - 0.35 * smoothstep(0.9, 0.2, at.y) * step(0.4, hash(key + 9.0));
    bool shutter = row && hash(key + 13.0) < 0.35 && !window && aside < half_window * 1.75;
    float slats = 0.75 + 0.25 * step(0.3, fract(at.y * 14.0));
    if (shutter) s.color = vec3(0.10, 0.13, 0.09) * (0.5 + 2.0 * hash(key + 15.0)) * slats;
    if (upright && aside < half_window + 0.05 && f.y > 0.285 && f.y < 0.32 && at.y > 0.3) s.color *= 1.3;
    if (!window) return s;
    if (frame) { s.color = vec3(0.55) * (0.25 + hash(key + 11.0)); return s; }
    float curtain = hash(vec3(cell, key.z));
    float drawn = step(0.6, curtain) * step(0.52 + 0.3 * curtain, f.y + 0.25);
    s.color = mix(vec3(0.012, 0.015, 0.018), vec3(0.32, 0.30, 0.27), drawn);
    s.mirror = 1.0; s.f0 = 0.07; s.gloss = 0.2;
    return s;
}

// Lamps, plates, grille and seams drawn on a car's paint; y from its middle, see vehicles.Trim.
Surface body(vec3 c) {
    Surface s = Surface(c, 1.0, 0.05, 0.8);
    float dirt = smoothstep(0.55, 0.15, object.z) * (0.3 + 0.7 * fbm(object * 2.0 + vary));
    s.color = mix(c, vec3(0.10, 0.09, 0.08), dirt * 0.35);
    if (trim[0].z <= 0.0) return s;
    float x = object.x, y = abs(object.y), z = object.z, front = half_size.x - x, rear = x + half_size.x;
    float flank = abs(normalize(outward).y);
    if (flank > 0.75 && z < half_size.y * 2.0) {
        for (int i = 0; i < 3; i++)
            if (trim[3][i] != 0.0 && abs(x - trim[3][i]) < 0.012 && z > 0.28) s.color *= 0.25;
        for (int i = 1; i < 3; i++) {
            vec2 d = abs(vec2(x - trim[3][i] - 0.16, z - trim[0].z - 0.10));
            if (trim[3][i] != 0.0 && d.x < 0.10 && d.y < 0.017) s.color *= 0.3;
        }
    }
    bool ends = front < 0.5 || rear < 0.5;
    if (ends && z < trim[2].w && (front < 0.45 || rear < 0.3)) { s.color = vec3(0.018); s.mirror = 0.3; s.gloss = 0.1; }
    float inside = trim[0].x - 0.10 * smoothstep(trim[0].w, 0.0, front);
    float bottom = trim[0].y + 0.25 * max(front - 0.12, 0.0), top = trim[0].z + 0.12 * front;
    if (front < trim[0].w && y > inside && z > bottom && z < top) {
        float bulb = length(vec2((y - trim[0].x - 0.13) / 0.09, (z - (trim[0].y + trim[0].z) * 0.5) / 0.06));
        vec3 glass = mix(vec3(0.75), vec3(0.16, 0.165, 0.17), smoothstep(0.4, 1.1, bulb));
        return Surface(glass * (0.6 + 0.5 * noise(object * 25.0)), 1.0, 0.10, 1.5);
    }
    if (rear < trim[1].w && y > trim[1].x && z > trim[1].y && z < trim[1].z) {
        float band = (z - trim[1].y) / (trim[1].z - trim[1].y);
        vec3 red = band > 0.38 && band < 0.58 ? vec3(0.45, 0.32, 0.28) : vec3(0.32, 0.008, 0.008);
        return Surface(red * (0.7 + 0.4 * noise(object * 25.0)), 1.0, 0.06, 0.8);
    }
    if (front < 0.4 && y < trim[2].x && z > trim[2].y && z < trim[2].z) {
        s.color = vec3(0.015) + 0.16 * step(0.62, fract(z * 22.0)); s.mirror = 0.3; return s;
    }
    float low = trim[2].y - 0.12;
    if (front < 0.35 && y < half_size.y * 0.62 && z > trim[2].w + 0.01 && z < min(trim[2].w + 0.16, low)) {
        s.color = vec3(0.012); s.mirror = 0.1; return s;
    }
    vec2 p = vec2(object.y, z - (front < 0.5 ? trim[4].x : trim[4].y));
    if ((front < 0.3 || rear < 0.3) && abs(p.x) < 0.26 && abs(p.y) < 0.057) {
        bool stroke = abs(p.y) < 0.036 && abs(p.x) < 0.22 && hash(floor(vec3(p * vec2(38.0, 45.0), vary))) > 0.45;
        bool band = p.x * sign(front - rear) < -0.225;
        return Surface(band ? vec3(0.02, 0.06, 0.35) : vec3(stroke ? 0.03 : 0.62), 0.2, 0.04, 0.1);
    }
    return s;
}

Surface surface(float distance_) {
    float far = exp(-distance_ * 0.05);
    Surface s = Surface(paint, 0.0, 0.04, 0.0);
    if (kind == ASPHALT) { s.color = asphalt(paint, far); s.mirror = 0.15 + wet; s.f0 = 0.02; }
    else if (kind == GRASS) s.color = grass(paint, far);
    else if (kind == PAVING) s.color = paving(paint, far);
    else if (kind == WALL) s = wall(paint, far);
    else if (kind == ROOF) {
        float tiles = mix(1.0, 0.7 + 0.4 * step(0.25, fract(object.z * 4.5)), far);
        s.color *= (0.65 + 0.5 * fbm(object * 1.3 + seed)) * tiles;
    }
    else if (kind == LEAVES) {
        float leaf = noise(object * 10.0 + seed) * (0.5 + noise(object * 27.0));
        s.color *= 0.35 + 1.1 * leaf + 0.3 * noise(object * 1.7);
    }
    else if (kind == BARK) s.color *= 0.6 + 0.8 * noise(object * vec3(14, 14, 2));
    else if (kind == PAINT) s = body(paint);
    else if (kind == GLASS) s = Surface(paint, 1.0, 0.05, 0.9);
    else if (kind == LAMP) s = Surface(paint * (0.6 + 0.6 * noise(object * 25.0)), 1.0, 0.06, 0.6);
    else if (kind == MARKING) {
        float grain = 0.4 * (noise(vec3(world.xy * 25.0, seed)) - 0.5) * far;
        s.color *= 0.6 + 0.4 * fbm(vec3(world.xy * 2.0, seed)) + grain;
    }
    else if (kind == METAL) s = Surface(paint * (0.8 + 0.3 * noise(object * 6.0)), 0.6, 0.2, 0.3);
    else if (kind == RIM) {
        float spokes = 4.0 + floor(3.9 * hash(vec3(vary))), a = atan(at.y, at.x), r = length(at);
        float open = step(0.0, cos(a * (spokes + 1.0)) - 0.15) * step(0.28, r) * step(r, 0.86);
        s = Surface(mix(paint, vec3(0.01), 0.92 * open), 0.5 * (1.0 - open), 0.2, 0.4);
    }
    else if (kind == CLOTH) {
        s.color *= 0.75 + 0.4 * noise(object * vec3(9, 9, 5) + vary) + 0.2 * (noise(object * 40.0) - 0.5);
    }
    else if (kind == PLATE) {
        vec2 cell = at * vec2(11.0, 5.0);
        bool text = all(greaterThan(at, vec2(0.08, 0.2))) && all(lessThan(at, vec2(0.92, 0.8)));
        bool stroke = text && hash(vec3(floor(cell), seed)) > 0.5;
        s.color = stroke ? paint * 0.1 + 0.02 : paint;
    }
    else s.color *= 0.85 + 0.3 * noise(object * 3.0 + seed);
    return s;
}

// What a mirror sees: sky, a ragged dark line of houses and trees, the street.
vec3 surroundings(vec3 d) {
    vec3 street = ambient * 0.13 + sun_color * 0.03;
    if (d.z <= 0.0) return street;
    float line = smoothstep(0.08, -0.04, d.z - 0.12 - 0.55 * noise(vec3(d.xy * 4.0, seed)));
    return mix(sky(d), ambient * vec3(0.12, 0.125, 0.11), line);
}

void main() {
    vec3 n = normalize(outward), v = eye - world;
    float range = length(v);
    v /= range;
    if (dot(n, v) < 0.0) n = -n;
    Surface s = surface(range);
    float cosine = dot(n, sun), lit = 0.0;
    if (kind == LEAVES) cosine = 0.25 + 0.6 * max(cosine, 0.0) + 0.15 * noise(object * 8.0);
    if (cosine > 0.0) lit = sunlight();
    vec3 skylight = ambient * mix(vec3(0.42, 0.40, 0.36), vec3(1.0, 1.02, 1.06), 0.5 + 0.5 * n.z);
    if (kind == LEAVES) skylight *= 0.25 + 0.6 * noise(object * 2.2 + 3.0);
    if (n.z > 0.7 && object.z < 0.4) skylight *= 0.12 + 0.88 * openness();
    if (id > 0u) skylight *= mix(0.3, 1.0, smoothstep(0.0, 0.8, object.z));
    vec3 color = s.color * (skylight + sun_color * max(cosine, 0.0) * lit);
    if (s.mirror > 0.0) {
        vec3 r = reflect(-v, n);
        float fresnel = s.mirror * (s.f0 + (1.0 - s.f0) * pow(1.0 - max(dot(n, v), 0.0), 5.0));
        color = color * (1.0 - fresnel) + surroundings(r) * fresnel;
        float glint = max(dot(r, sun), 0.0);
        color += sun_color * lit * s.gloss * (1.2 * pow(glint, 180.0) + 0.08 * pow(glint, 14.0));
    }
    color = mix(haze_color, color, exp(-range * haze));
    radiance = vec4(color, 1.0); instance = id; depth = dot(world - eye, forward);
}
"""
SURFACE += _SURFACE_BODY

BACKGROUND_VERTEX = """#version 330
in vec2 corner; out vec2 at;
void main() { at = corner; gl_Position = vec4(corner, 0.9999999, 1.0); }
"""

BACKGROUND = f"""#version 330
{_MATERIALS}
in vec2 at; uniform mat4 world_from_clip; uniform vec3 eye;
layout(location = 0) out vec4 radiance; layout(location = 1) out uint instance; layout(location = 2) out float depth;
{_NOISE}{_SKY}
void main() {{
    vec4 p = world_from_clip * vec4(at, 1.0, 1.0);
    radiance = vec4(sky(normalize(p.xyz / p.w - eye)), 1.0); instance = 0u; depth = 1.0 / 0.0;
}}
"""

SHAPE_VERTEX = """#version 330
in vec3 position; in float material; uniform mat4 view_projection, model; out vec3 object; flat out int kind;
invariant gl_Position;
void main() {
    vec4 p = model * vec4(position, 1.0);
    object = position; kind = int(material + 0.5);
    gl_Position = view_projection * p;
}
"""

SHAPE = f"""#version 330
{_MATERIALS}
in vec3 object; flat in int kind; out vec4 covered;
{_NOISE}
void main() {{ if (hole(object, kind)) discard; covered = vec4(1.0); }}
"""
